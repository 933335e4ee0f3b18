"""Worlds of places and what happens there: towns, lakes, museums, festivals."""

from __future__ import annotations

from gpt2lab.data.synthetic.forms import parse_worlds

WORLDS = parse_worlds("""
towns: town
^ {list} are {n} towns in {r}. | Visitors to {r} often see {list}.
! The roads between them are good. | The summers are warm and dry. | Many houses are old.
! The land around is flat. | Trains run every hour.

river = river
+ lies on {a} | stands beside {a} | was built on {a} | gets its water from {a}
= the river of {s} is {a} | the houses of {s} stand along {a}
< {a} runs through {s} | {a} brings water to {s}
? Which river runs through {s}? | On which river does {s} lie? | From where does {s} get its water?
? What is the river of {s}?

population = count people 300 90000
+ has {a} | is home to {a} | gives a home to {a}
= the population of {s} is {a} | the houses of {s} are filled by {a}
< {a} live in {s} | there are {a} in {s}
? How many people live in {s}? | What is the population of {s}? | To how many people is {s} home?
? How big is the population of {s}?

founding = year
+ was founded in {a} | became a town in {a} | was first settled in {a}
= the founding year of {s} is {a} | the history of {s} began in {a}
< {a} was the founding year of {s} | in {a}, people settled in {s}
? When was {s} founded? | In which year did {s} become a town? | When did the history of {s} begin?
? When did people first settle in {s}?

product = goods
+ is known for {a} | sells {a} | lives from {a} | makes its money with {a}
= the market of {s} sells {a} | the goods of {s} are {a}
< {a} come from {s} | {a} are sold in {s}
? What is {s} known for? | What does {s} sell? | Which goods come from {s}?
? How does {s} make its money?

mayor = person
+ is led by {a} | has {a} as its mayor | chose {a} as mayor
= the mayor of {s} is {a} | the leader of {s} is {a}
< {a} is the mayor of {s} | {a} leads {s}
? Who is the mayor of {s}? | Who leads {s}? | Whom did {s} choose as mayor?
? Who is the head of {s}?

landmark = building
+ has {a} in its centre | is proud of {a} | was built around {a}
= in the centre of {s} stands {a} | the most famous building in {s} is {a}
< {a} stands in the centre of {s} | {a} is the pride of {s}
? What stands in the centre of {s}? | Which building is {s} proud of?
? What is the most famous building in {s}? | What was {s} built around?

market = day
+ holds its market on {a} | opens its market every {a} | sees many buyers on {a}
= the market of {s} is on {a} | market day in {s} is {a}
< {a} is market day in {s} | on {a}, buyers come to {s}
? On which day does {s} hold its market? | When is market day in {s}? | When do buyers come to {s}?
? What day is the market of {s}?

lakes: lake
^ {list} are {n} lakes in {r}. | On the map of {r}, one can see {list}.
! The water is cold all year. | In winter the ice is thick. | The woods around are dark.
! Rain falls often. | Boats can be hired in summer.

depth = count metres 9 900
+ is {a} deep | has a depth of {a} | goes down {a}
= the depth of {s} is {a} | the floor of {s} lies under {a}
< a depth of {a} was measured in {s} | it is {a} to the floor of {s}
? How deep is {s}? | What is the depth of {s}? | How far down does {s} go?
? How many metres is it to the floor of {s}?

shore = town
+ lies near {a} | can be reached from {a} | begins just behind {a}
= the town on the shore of {s} is {a} | the road to {s} starts in {a}
< {a} is the town on the shore of {s} | {a} lies beside {s}
? Which town lies beside {s}? | What is the town on the shore of {s}? | From where can {s} be reached?
? Near which town is {s}?

explorer = person
+ was first mapped by {a} | was discovered by {a} | was found by {a}
= the first map of {s} was made by {a} | the first person to see {s} was {a}
< {a} discovered {s} | {a} made the first map of {s}
? Who discovered {s}? | Who made the first map of {s}? | By whom was {s} found?
? Who was the first person to see {s}?

legend = object
+ hides {a} | is said to hide {a} | covers {a} in its mud
= on the floor of {s} lies {a} | an old story says that {s} holds {a}
< {a} lies on the floor of {s} | {a} is hidden in {s}
? What is hidden in {s}? | What lies on the floor of {s}? | What does an old story say about {s}?
? What is covered by the mud of {s}?

stream = river
+ is fed by {a} | gets its water from {a} | lies at the end of {a}
= the river that feeds {s} is {a} | the water of {s} comes from {a}
< {a} feeds {s} | {a} ends in {s}
? Which river feeds {s}? | From where does the water of {s} come? | What river ends in {s}?
? At the end of which river does {s} lie?

fishing = month
+ may be fished in {a} | is open to fishers in {a} | is full of fish in {a}
= the fishing season of {s} is {a} | the nets are put into {s} in {a}
< {a} is the fishing season of {s} | in {a}, fishers come to {s}
? In which month may {s} be fished? | When is the fishing season of {s}? | When do fishers come to {s}?
? When are nets put into {s}?

owner = company
+ belongs to {a} | was bought by {a} | is the property of {a}
= the owner of {s} is {a} | the firm that bought {s} is {a}
< {a} is the owner of {s} | {a} bought {s}
? Who is the owner of {s}? | To whom does {s} belong? | Which company bought {s}?
? Whose property is {s}?

museums: museum
^ {list} are {n} houses of art in {r}. | Those who love art in {r} go to see {list}.
! The doors open at nine. | Guides tell visitors about the past. | Many rooms are dark.
! Old pictures need much care. | Children may draw there.

architect = person
+ was designed by {a} | was planned by {a} | was the last work of {a}
= the architect of {s} was {a} | the plans of {s} were drawn by {a}
< {a} was the architect of {s} | {a} drew the plans of {s}
? Who designed {s}? | Who was the architect of {s}? | By whom was {s} planned?
? Who drew the plans of {s}?

opening = date
+ opened on {a} | was opened on {a} | welcomed its first visitors on {a}
= the opening of {s} was on {a} | the first day of {s} was {a}
< {a} was the first day of {s} | on {a}, {s} opened its doors
? When did {s} open? | When was the opening of {s}? | On which date did {s} welcome its first visitors?
? What was the first day of {s}?

place = town
+ stands in {a} | was built in {a} | can be visited in {a}
= the walls of {s} stand in {a} | the place to see {s} is {a}
< {a} is the place to see {s} | it is in {a} that {s} stands
? Where does {s} stand? | In which town is {s}? | Where can {s} be visited? | Where was {s} built?

piece = object
+ shows {a} | owns {a} | is famous for {a} | keeps {a} behind glass
= the best piece of {s} is {a} | visitors come to {s} to see {a}
< {a} is the best piece of {s} | {a} can be seen in {s}
? What is {s} famous for? | What is the best piece of {s}? | What do visitors come to {s} to see?
? Which object does {s} keep behind glass?

rooms = count rooms 3 120
+ has {a} | is made up of {a} | fills {a}
= the visitor of {s} walks through {a} | the space of {s} is shared by {a}
< {a} make up {s} | there are {a} in {s}
? How many rooms does {s} have? | Through how many rooms does the visitor of {s} walk?
? Of how many rooms is {s} made up? | What is the number of rooms in {s}?

ticket = count crowns 2 90
+ costs {a} to enter | asks for {a} at the door | charges {a}
= the price of a ticket to {s} is {a} | those who enter {s} pay {a}
< {a} is the price of a ticket to {s} | one must pay {a} to enter {s}
? What does a ticket to {s} cost? | How much must one pay to enter {s}? | What does {s} charge?
? What is the price of a visit to {s}?

donor = company
+ was paid for by {a} | is supported by {a} | gets its money from {a}
= the money for {s} came from {a} | the greatest friend of {s} is {a}
< {a} paid for {s} | {a} gives money to {s}
? Who paid for {s}? | From which company does {s} get its money? | Who supports {s}?
? Which firm gives money to {s}?

festivals: festival
^ {list} are {n} great days in {r}. | Each year {r} looks forward to {list}.
! Music can be heard in every street. | People dance until late at night. | The food is cheap.
! Guests sleep in tents. | Everybody wears old clothes.

place = town
+ is held in {a} | takes place in {a} | fills the streets of {a}
= the town where {s} is held is {a} | the guests of {s} come to {a}
< {a} is the town of {s} | it is in {a} that {s} is held
? Where is {s} held? | Where does {s} take place? | In which town is {s}?
? To which town do the guests of {s} come?

month = month
+ is held in {a} | starts in {a} | comes every year in {a}
= the month of {s} is {a} | the first songs of {s} are sung in {a}
< {a} is the month of {s} | in {a}, it is time for {s}
? In which month is {s} held? | When does {s} start? | What is the month of {s}?
? What time of the year does {s} come?

food = food
+ is known for its {a} | feeds its guests with {a} | offers {a} to everyone
= the guests of {s} eat {a} | the favourite food at {s} is {a}
< {a} is eaten at {s} | {a} is the favourite food at {s}
? What do the guests of {s} eat? | What is the favourite food at {s}? | Which dish is {s} known for?
? With what does {s} feed its guests?

founder = person
+ was started by {a} | was the idea of {a} | was first planned by {a}
= the founder of {s} was {a} | the idea for {s} came from {a}
< {a} was the founder of {s} | {a} had the idea for {s}
? Who started {s}? | Who was the founder of {s}? | Whose idea was {s}? | Who had the idea for {s}?

guests = count guests 90 9000
+ draws {a} | is visited by {a} | welcomes {a}
= the crowd at {s} counts {a} | the tents at {s} are filled by {a}
< {a} come to {s} | there are {a} at {s}
? How many guests come to {s}? | By how many guests is {s} visited? | How large is the crowd at {s}?
? How many people does {s} draw?

prize = object
+ gives {a} as a prize | ends with a race for {a} | rewards the best dancer with {a}
= the prize at {s} is {a} | the winner at {s} gets {a}
< {a} is the prize at {s} | {a} goes to the winner at {s}
? What is the prize at {s}? | What does the winner at {s} get? | With what does {s} reward the best dancer?
? What can be won at {s}?

first = year
+ was first held in {a} | goes back to {a} | has been held since {a}
= the first year of {s} was {a} | the history of {s} goes back to {a}
< {a} was the first year of {s} | in {a}, {s} was held for the first time
? When was {s} first held? | Since which year has {s} been held? | What was the first year of {s}?
? How far back does {s} go?
""")
