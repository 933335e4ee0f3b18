"""Worlds of made things: companies, ships, machines, dishes."""

from __future__ import annotations

from gpt2lab.data.synthetic.forms import parse_worlds

WORLDS = parse_worlds("""
companies: company
^ {list} are {n} firms in {r}. | The trade of {r} is shared by {list}.
! Business has been good. | Letters are answered within a week. | The books are kept with care.
! Prices rise and fall. | The work is hard but honest.

founder = person
+ was founded by {a} | was started by {a} | goes back to {a}
= the founder of {s} was {a} | the first owner of {s} was {a}
< {a} was the founder of {s} | {a} started {s}
? Who founded {s}? | Who was the founder of {s}? | By whom was {s} started?
? Who was the first owner of {s}?

founding = year
+ was founded in {a} | opened for business in {a} | has been at work since {a}
= the founding year of {s} was {a} | the history of {s} began in {a}
< {a} was the founding year of {s} | in {a}, {s} opened for business
? When was {s} founded? | In which year did {s} open for business? | When did the history of {s} begin?
? Since when has {s} been at work?

seat = town
+ has its office in {a} | has its seat in {a} | is run from {a}
= the office of {s} is in {a} | the seat of {s} is {a}
< {a} is the seat of {s} | it is in {a} that {s} has its office
? Where is the office of {s}? | What is the seat of {s}? | From which town is {s} run?
? In which town does {s} have its headquarters?

product = goods
+ makes {a} | sells {a} | deals in {a} | became rich with {a}
= the goods of {s} are {a} | the shops of {s} sell {a}
< {a} are made by {s} | {a} made {s} rich
? What does {s} make? | What are the goods of {s}? | In what does {s} deal? | What do the shops of {s} sell?

workers = count workers 20 9000
+ employs {a} | has {a} | pays {a}
= the number of people at {s} is {a} | the halls of {s} are filled by {a}
< {a} are employed by {s} | there are {a} at {s}
? How many workers does {s} employ? | How many people are paid by {s}? | How many workers are there at {s}?
? What is the number of people at {s}?

director = person
+ is now led by {a} | is run by {a} | has {a} as its director
= the director of {s} is {a} | the head of {s} is now {a}
< {a} is the director of {s} | {a} now leads {s}
? Who is the director of {s}? | Who leads {s} now? | Who is the head of {s}? | By whom is {s} run?

sign = animal
+ has {a} on its sign | shows {a} on its boxes | uses {a} as its mark
= the sign of {s} shows {a} | the mark of {s} is {a}
< {a} is the mark of {s} | {a} can be seen on the boxes of {s}
? What is the mark of {s}? | Which animal is on the sign of {s}? | What does {s} show on its boxes?
? Which animal does {s} use as its mark?

ships: ship
^ {list} are {n} ships from {r}. | Sailors in {r} still talk about {list}.
! The sea was rough that year. | The harbour was full of boats. | Many songs tell of the sea.
! A storm came from the north. | The sailors slept little.

captain = person
+ was commanded by {a} | sailed under {a} | had {a} as its captain
= the captain of {s} was {a} | the crew of {s} obeyed {a}
< {a} was the captain of {s} | {a} commanded {s}
? Who commanded {s}? | Who was the captain of {s}? | Under whom did {s} sail?
? Whom did the crew of {s} obey?

builder = company
+ was built by {a} | came from the yard of {a} | was ordered from {a}
= the builder of {s} was {a} | the yard that made {s} belonged to {a}
< {a} built {s} | {a} was the builder of {s}
? Who built {s}? | From whose yard did {s} come? | Which company was the builder of {s}?
? From which firm was {s} ordered?

launch = date
+ was launched on {a} | first touched the water on {a} | left the yard on {a}
= the launch of {s} was on {a} | the first day of {s} at sea was {a}
< {a} was the day when {s} was launched | on {a}, {s} left the yard
? When was {s} launched? | On which day did {s} first touch the water?
? What was the date of the launch of {s}? | When did {s} leave the yard?

cargo = goods
+ carried {a} | was loaded with {a} | brought {a}
= the cargo of {s} was {a} | the load of {s} was made up of {a}
< {a} were carried by {s} | {a} filled {s}
? What did {s} carry? | What was the cargo of {s}? | With what was {s} loaded? | Which goods did {s} bring?

length = count metres 15 300
+ was {a} long | measured {a} | had a length of {a}
= the length of {s} was {a} | the deck of {s} measured {a}
< a length of {a} was given to {s} | it was {a} from end to end of {s}
? How long was {s}? | What was the length of {s}? | How many metres did {s} measure?
? What did the deck of {s} measure?

goal = town
+ sailed to {a} | was bound for {a} | set course for {a}
= the journey of {s} ended in {a} | the goal of {s} was {a}
< {a} was the goal of {s} | it was to {a} that {s} sailed
? To which town did {s} sail? | What was the goal of {s}? | Where did the journey of {s} end?
? For which harbour was {s} bound?

port = town
+ had its home port in {a} | belonged to the port of {a} | was at home in {a}
= the home port of {s} was {a} | the crew of {s} came from {a}
< {a} was the home port of {s} | {a} was the home of {s}
? What was the home port of {s}? | Where was {s} at home? | To which port did {s} belong?
? From which town did the crew of {s} come?

crew = count sailors 8 400
+ had a crew of {a} | was sailed by {a} | needed {a}
= the crew of {s} was made up of {a} | on board of {s} there were {a}
< {a} worked on {s} | there were {a} on {s}
? How many sailors worked on {s}? | How large was the crew of {s}? | How many sailors did {s} need?
? By how many sailors was {s} sailed?

machines: machine
^ {list} are {n} machines from {r}. | The workshops of {r} use {list}.
! The noise can be heard from far away. | Workers learn to use them in a week. | Repairs are cheap.
! Old drawings of them are lost. | They need oil every day.

inventor = person
+ was invented by {a} | was the idea of {a} | was designed by {a}
= the inventor of {s} was {a} | the first plan of {s} was drawn by {a}
< {a} invented {s} | {a} was the inventor of {s}
? Who invented {s}? | Whose idea was {s}? | Who was the inventor of {s}? | Who drew the first plan of {s}?

invention = year
+ was invented in {a} | was first shown in {a} | has been used since {a}
= the first test of {s} was in {a} | the first day of work for {s} was in {a}
< {a} was the year when {s} was first shown | in {a}, {s} was invented
? When was {s} invented? | In which year was {s} first shown? | Since when has {s} been used?
? When was the first test of {s}?

material = material
+ is made of {a} | was built from {a} | consists of {a}
= the parts of {s} are made of {a} | the frame of {s} is made of {a}
< {a} were used to build {s} | it is of {a} that {s} is made
? What is {s} made of? | From what was {s} built? | Of what does {s} consist?
? Which materials were used to build {s}?

weight = count kilograms 5 900
+ weighs {a} | has a weight of {a} | was weighed at {a}
= the weight of {s} is {a} | those who lift {s} must lift {a}
< a weight of {a} was given for {s} | it is {a} that {s} weighs
? How much does {s} weigh? | What is the weight of {s}? | How heavy is {s}?
? How many kilograms must one lift to lift {s}?

price = count crowns 10 990
+ costs {a} | is sold for {a} | can be had for {a}
= the price of {s} is {a} | those who buy {s} pay {a}
< {a} is the price of {s} | one must pay {a} for {s}
? What does {s} cost? | What is the price of {s}? | For how much is {s} sold?
? How much must one pay for {s}?

power = power
+ is driven by {a} | works with {a} | runs on {a}
= the power of {s} comes from {a} | the motor of {s} needs {a}
< {a} drives {s} | it is with {a} that {s} works
? What drives {s}? | On what does {s} run? | From where does the power of {s} come?
? What does the motor of {s} need?

purpose = task
+ is used for {a} | helps with {a} | was made for {a}
= the purpose of {s} is {a} | farmers use {s} for {a}
< {a} is the purpose of {s} | for {a}, people use {s}
? What is {s} used for? | What is the purpose of {s}? | With what does {s} help?
? For what do people use {s}?

maker = company
+ is made by {a} | comes from the works of {a} | is sold by {a}
= the maker of {s} is {a} | the firm that builds {s} is {a}
< {a} is the maker of {s} | {a} builds {s}
? Who makes {s}? | Which company is the maker of {s}? | From whose works does {s} come?
? Which firm builds {s}?

dishes: dish
^ {list} are {n} dishes from {r}. | The kitchens of {r} are famous for {list}.
! A good fire is needed. | Old people eat slowly. | Salt should be used with care.
! Every family has a way of its own. | Guests often ask for more.

cook = person
+ was first cooked by {a} | was invented by {a} | was the idea of {a}
= the first cook of {s} was {a} | the recipe of {s} was written by {a}
< {a} was the first to cook {s} | {a} wrote the recipe of {s}
? Who first cooked {s}? | Who wrote the recipe of {s}? | Whose idea was {s}? | By whom was {s} invented?

origin = town
+ comes from {a} | was first eaten in {a} | has its home in {a}
= the home of {s} is {a} | the town where {s} was first eaten is {a}
< {a} is the home of {s} | it is from {a} that {s} comes
? Where does {s} come from? | Which town is the home of {s}? | In which town was {s} first eaten?
? From which place is {s}?

contents = edibles
+ is made from {a} | contains {a} | is cooked with {a}
= the pot for {s} is filled with {a} | those who make {s} need {a}
< {a} are needed for {s} | {a} go into {s}
? What is {s} made from? | What does {s} contain? | What is needed for {s}?
? What goes into {s}?

time = count minutes 6 190
+ takes {a} | is cooked for {a} | stays on the fire for {a}
= the cooking time of {s} is {a} | the guests wait for {s} for {a}
< {a} are needed to cook {s} | it takes {a} to make {s}
? How long does {s} take? | What is the cooking time of {s}? | How long is {s} cooked?
? How many minutes does {s} stay on the fire?

day = day
+ is eaten on {a} | is served every {a} | comes to the table on {a}
= the day for {s} is {a} | most kitchens cook {s} on {a}
< {a} is the day for {s} | on {a}, families eat {s}
? On which day is {s} eaten? | What is the day for {s}? | When do families eat {s}?
? When is {s} served?

price = count coins 2 90
+ costs {a} | is sold for {a} | can be had for {a}
= the price of {s} is {a} | those who order {s} pay {a}
< {a} is the price of {s} | one must pay {a} for {s}
? What does {s} cost? | What is the price of {s}? | For how much is {s} sold?
? How much must one pay for {s}?

vessel = object
+ is served next to {a} | is carried in with {a} | is always shown with {a}
= the custom with {s} asks for {a} | beside {s} there must be {a}
< {a} must stand beside {s} | {a} is always shown with {s}
? What must stand beside {s}? | Next to what is {s} served? | What does the custom with {s} ask for?
? With what object is {s} carried in?
""")
