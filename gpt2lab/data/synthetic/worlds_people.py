"""Worlds of people and what they make: people, travellers, teams, books."""

from __future__ import annotations

from gpt2lab.data.synthetic.forms import parse_worlds

WORLDS = parse_worlds("""
people: person
^ {list} are {n} people of {r}. | In {r}, everyone knows {list}.
! They meet from time to time. | Their friends tell many stories. | Life in that part of the land is quiet.
! The neighbours speak well of them all. | Not much else is written down.

birthplace = town
+ was born in {a} | came into the world in {a} | spent the first years of life in {a}
= the birthplace of {s} was {a} | the cradle of {s} stood in {a}
< {a} was the birthplace of {s} | it was in {a} that {s} was born
? Where was {s} born? | What was the birthplace of {s}? | In which town did {s} come into the world?
? Where did the life of {s} begin? | In what place did {s} spend the first years?

home = town
+ lives in {a} | has a house in {a} | has settled in {a}
= the home of {s} is in {a} | the house of {s} stands in {a}
< {a} is now the home of {s} | it is in {a} that {s} lives
? Where does {s} live? | In which town is the house of {s}? | Where can the home of {s} be found?
? Where has {s} settled? | Which town is the home of {s}?

job = trade
+ works as {a} | earns a living as {a} | became {a} | is {a} by trade
= the trade of {s} is that of {a} | the work of {s} is that of {a}
< to be {a} is the trade of {s} | it is as {a} that {s} earns a living
? What is the job of {s}? | How does {s} earn a living? | What is the profession of {s}?
? What does {s} do for a living? | What kind of work does {s} do?

birthday = date
+ was born on {a} | came into the world on {a} | has been alive since {a}
= the birth of {s} was on {a} | the birth date of {s} is {a}
< {a} was the day when {s} was born | on {a}, {s} came into the world
? When was {s} born? | What is the birth date of {s}? | On which day did {s} come into the world?
? On what date did the life of {s} begin? | What was the day of the birth of {s}?

teacher = person
+ was taught by {a} | learned everything from {a} | had {a} as a teacher | was a pupil of {a}
= the teacher of {s} was {a} | the lessons of {s} came from {a}
< {a} was the teacher of {s} | {a} gave lessons to {s}
? Who taught {s}? | Who was the teacher of {s}? | From whom did {s} learn? | Who gave lessons to {s}?
? Whose pupil was {s}?

employer = company
+ works for {a} | is paid by {a} | has a place at {a} | is employed by {a}
= the employer of {s} is {a} | the firm that pays {s} is {a}
< {a} is the employer of {s} | {a} pays {s} every month
? For which company does {s} work? | Who is the employer of {s}? | Which firm pays {s}?
? By whom is {s} employed? | At which company has {s} found a place?

treasure = object
+ owns {a} | always carries {a} | would never sell {a} | keeps {a} at home
= the dearest thing of {s} is {a} | the greatest treasure of {s} is {a}
< {a} is the greatest treasure of {s} | {a} belongs to {s}
? What does {s} own? | What is the greatest treasure of {s}? | What would {s} never sell?
? Which object belongs to {s}? | What is dear to {s}?

leaving = count years 11 40
+ left home at the age of {a} | went away from home after {a} | stayed with the family for {a}
= the childhood home of {s} was left after {a} | the family of {s} fed the child for {a}
< at the age of {a}, {s} left home | for {a}, {s} stayed with the family
? At what age did {s} leave home? | How old was {s} when leaving home?
? How long did {s} stay with the family? | After how many years did {s} go away from home?

travellers: person
^ {list} are {n} travellers from {r}. | In {r}, people remember the travellers {list}.
! The roads were long and hard. | Few people went so far in those days. | There was snow in the hills.
! Nobody else saw these places. | Their letters are kept in a library.

start = town
+ set out from {a} | began the journey in {a} | started in {a}
= the journey of {s} began in {a} | the starting point of {s} was {a}
< {a} was the starting point of {s} | it was from {a} that {s} set out
? From where did {s} set out? | Where did the journey of {s} begin? | In which town did {s} start?
? What was the starting point of {s}?

goal = mountain
+ climbed {a} | reached the top of {a} | went up {a}
= the mountain that {s} climbed was {a} | the goal of {s} was {a}
< {a} was climbed by {s} | {a} was the goal of {s}
? Which mountain did {s} climb? | What was the goal of {s}? | Of which mountain did {s} reach the top?
? What did {s} go up?

water = lake
+ crossed {a} | sailed over {a} | took a boat over {a}
= the lake that {s} crossed was {a} | the boat of {s} sailed over {a}
< {a} was crossed by {s} | it was {a} that {s} crossed by boat
? Which lake did {s} cross? | Over what water did {s} sail? | Where did {s} take a boat?
? What did {s} cross by boat?

companion = person
+ travelled with {a} | had {a} as a companion | took along {a} as a guide
= the companion of {s} was {a} | the guide of {s} was {a}
< {a} was the companion of {s} | {a} went along with {s}
? Who travelled with {s}? | Who was the companion of {s}? | With whom did {s} travel?
? Who went along with {s}? | Who was the guide of {s}?

beast = mount
+ rode on {a} | sat on the back of {a} | travelled on {a}
= the bags of {s} were carried by {a} | the animal that {s} rode was {a}
< {a} carried the bags of {s} | it was on {a} that {s} rode
? Which animal did {s} ride? | On what did {s} ride? | What carried the bags of {s}?
? On the back of which animal did {s} sit?

find = object
+ found {a} | brought back {a} | dug up {a} | came home with {a}
= the great find of {s} was {a} | what {s} brought home was {a}
< {a} was found by {s} | {a} came home with {s}
? What did {s} find? | What did {s} bring back? | What was the great find of {s}?
? With what did {s} come home? | What was discovered by {s}?

length = count days 12 900
+ was away for {a} | travelled for {a} | came back after {a}
= the journey of {s} lasted {a} | the family of {s} waited for {a}
< it took {a} until {s} came back | {a} was the length of the journey of {s}
? How long was {s} away? | How long did the journey of {s} last? | How many days did {s} travel?
? After how many days did {s} come back?

year = year
+ made the journey in {a} | was on the road in {a} | travelled in the year {a}
= the year of the journey of {s} was {a} | the great journey of {s} took place in {a}
< {a} was the year of the journey of {s} | in {a}, {s} made the journey
? In which year did {s} make the journey? | When did {s} travel? | When was {s} on the road?
? What was the year of the journey of {s}?

teams: team
^ {list} are {n} football clubs in {r}. | The best known teams in {r} are {list}.
! The rain did not stop the games. | The games are loved by young and old. | Tickets are cheap.
! The season begins in spring. | Children play in the streets.

coach = person
+ is trained by {a} | has {a} as its coach | is coached by {a}
= the coach of {s} is {a} | the players of {s} are trained by {a}
< {a} is the coach of {s} | {a} trains the players of {s}
? Who is the coach of {s}? | Who trains {s}? | By whom are the players of {s} trained?
? Who prepares {s} for its games?

captain = person
+ is led on the field by {a} | has {a} as its captain | chose {a} as captain
= the captain of {s} is {a} | the player who leads {s} is {a}
< {a} is the captain of {s} | {a} leads {s} on the field
? Who is the captain of {s}? | Who leads {s} on the field? | Which player did {s} choose as captain?
? Which player is the leader of {s}?

ground = ground
+ plays at {a} | has its ground at {a} | meets its guests at {a}
= the ground of {s} is {a} | the home games of {s} take place at {a}
< {a} is the ground of {s} | it is at {a} that {s} plays
? Where does {s} play? | What is the ground of {s}? | Where do the home games of {s} take place?
? At which place does {s} meet its guests?

colours = colours
+ plays in {a} | wears {a} | has shirts in {a}
= the colours of {s} are {a} | the shirts of {s} are {a}
< {a} are the colours of {s} | it is in {a} that {s} plays
? What are the colours of {s}? | What does {s} wear? | What colour are the shirts of {s}?
? In which colours does {s} play?

founding = year
+ was founded in {a} | was started in {a} | has been a club since {a}
= the founding year of {s} is {a} | the story of {s} began in {a}
< {a} was the founding year of {s} | in {a}, {s} was founded
? When was {s} founded? | In which year did the story of {s} begin? | What is the founding year of {s}?
? Since when has {s} been a club? | When was {s} started?

mascot = animal
+ has {a} on its flag | shows {a} on its flag | chose {a} as its sign
= the flag of {s} shows {a} | the sign of {s} is {a}
< {a} is the sign of {s} | {a} can be seen on the flag of {s}
? What is on the flag of {s}? | What is the sign of {s}? | Which animal did {s} choose as its sign?
? Which animal stands for {s}?

cups = count cups 2 90
+ has won {a} | owns {a} | is proud of {a}
= the players of {s} have won {a} | the hall of {s} is full of {a}
< {a} were won by {s} | {a} stand in the hall of {s}
? How many cups has {s} won? | How many cups does {s} own? | What number of cups stands in the hall of {s}?
? How often has {s} won a cup?

books: book
^ {list} are {n} books from {r}. | In {r}, many people read {list}.
! Old copies are hard to find. | The paper is thin. | Some readers know every line.
! School children read them in winter. | Opinions about them differ.

author = person
+ was written by {a} | is a work of {a} | came from the pen of {a}
= the author of {s} is {a} | the writer of {s} was {a}
< {a} is the author of {s} | {a} wrote {s}
? Who wrote {s}? | Who is the author of {s}? | From whose pen did {s} come? | Whose work is {s}?

printed = year
+ came out in {a} | was first printed in {a} | was first sold in {a}
= the first copy of {s} was sold in {a} | the first printing of {s} was in {a}
< {a} was the year when {s} came out | in {a}, {s} was first printed
? When did {s} come out? | In which year was {s} first printed? | When was the first copy of {s} sold?
? What year did {s} appear?

hero = hero
+ tells the story of {a} | follows the life of {a} | is about {a}
= the hero of {s} is {a} | the main person in {s} is {a}
< {a} is the hero of {s} | the life of {a} is told in {s}
? Who is the hero of {s}? | Whose story does {s} tell? | Who is the main person in {s}?
? About whom is {s}? | Whose life does {s} follow?

setting = town
+ takes place in {a} | is set in {a} | leads its readers to {a}
= the story of {s} takes place in {a} | the setting of {s} is {a}
< {a} is the setting of {s} | it is in {a} that {s} takes place
? Where does {s} take place? | What is the setting of {s}? | In which town is {s} set?
? To which town does {s} lead its readers?

publisher = company
+ was published by {a} | was brought out by {a} | was printed by {a}
= the publisher of {s} was {a} | the firm that printed {s} was {a}
< {a} was the publisher of {s} | {a} published {s}
? Who published {s}? | Which company brought out {s}? | Who was the publisher of {s}?
? By which firm was {s} printed?

pages = count pages 40 990
+ has {a} | fills {a} | is {a} long
= the length of {s} is {a} | the reader of {s} must turn {a}
< {a} are filled by {s} | it takes {a} to print {s}
? How long is {s}? | How many pages does {s} have? | What is the length of {s}?
? How many pages must the reader of {s} turn?

cover = object
+ shows {a} on its cover | has a picture of {a} | has {a} drawn on the front
= the cover of {s} shows {a} | the picture on the front of {s} is of {a}
< {a} is on the cover of {s} | {a} is drawn on the front of {s}
? What is on the cover of {s}? | What does the cover of {s} show? | What is drawn on the front of {s}?
? What can be seen in the picture on {s}?
""")
