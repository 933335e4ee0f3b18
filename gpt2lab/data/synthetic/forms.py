"""How a fact may be worded: relations, worlds, and the plain text they are written in.

A world is written as lines, `|` between alternatives:

    towns: town                     name: kind of its entities (gpt2lab.data.synthetic.names)
    ^ {list} are {n} towns in {r}.  introductions, with a list of entities, their number, the region
    ! The roads are old.            fillers: true of anything, names nothing
    river = river                   relation = kind of its answer
    + lies on {a}                   predicates: the subject comes before
    = the river of {s} is {a}       sentences: subject before answer
    < {a} runs through {s}          sentences: answer before subject
    ? Which river passes {s}?       questions
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random

from gpt2lab.data.synthetic.names import pick, words


@dataclass
class Relation:
    """One attribute and its wordings; `{s}` stands for the entity, `{a}` for the answer."""

    name: str
    answer: str
    predicates: list[str] = field(default_factory=list)
    sentences: list[str] = field(default_factory=list)
    answer_first: list[str] = field(default_factory=list)
    questions: list[str] = field(default_factory=list)


@dataclass
class World:
    """A kind of entity, what can be said of it, and the sentences around."""

    name: str
    entity: str
    relations: list[Relation] = field(default_factory=list)
    introductions: list[str] = field(default_factory=list)
    fillers: list[str] = field(default_factory=list)


def parse_worlds(text: str) -> list[World]:
    """Read worlds from the notation above; ValueError names a line that fits none of it."""
    worlds: list[World] = []
    for line in filter(None, map(str.strip, text.splitlines())):
        mark, _, rest = line.partition(" ")
        items = [item.strip() for item in rest.split("|")]
        if mark.endswith(":"):
            worlds.append(World(mark[:-1], rest))
        elif mark == "^":
            worlds[-1].introductions += items
        elif mark == "!":
            worlds[-1].fillers += items
        elif mark == "+":
            worlds[-1].relations[-1].predicates += items
        elif mark == "=":
            worlds[-1].relations[-1].sentences += items
        elif mark == "<":
            worlds[-1].relations[-1].answer_first += items
        elif mark == "?":
            worlds[-1].relations[-1].questions += items
        elif rest.startswith("= "):
            worlds[-1].relations.append(Relation(mark, rest[2:]))
        else:
            raise ValueError(f"not a line of a world: {line!r}")
    return worlds


def with_article(phrase: str) -> str:
    return f"{'an' if phrase[0] in 'aeiou' else 'a'} {phrase}"


_MONTHS = words("January February March April May June July August September October November December")
_DAYS = words("Monday Tuesday Wednesday Thursday Friday Saturday Sunday")
_TRADES = words(
    "baker carpenter cook doctor farmer fisher gardener judge miller nurse painter potter printer sailor "
    "singer soldier tailor teacher weaver writer"
)
_GOODS = words(
    "apples beans candles cheese coal copper corn cotton fish flour glass honey iron leather nuts oil onions "
    "paper pears rice salt silk silver sugar tea tin wine wood wool"
)
_EDIBLES = words(
    "apples beans butter cheese corn cream eggs fish flour honey lemons milk nuts oil onions pears plums "
    "rice salt sugar"
)
_THINGS = words("bell book box chair clock coin cup drum flute key lamp map mask mirror ring shield statue sword")
_LOOKS = words("black blue broken brass golden green heavy iron little old painted red silver stone white wooden")
_ANIMALS = words("bear camel cat deer dog donkey eagle fox goat goose horse lion mule owl swan tiger wolf")
_MOUNTS = words("camel donkey elephant horse mule ox pony reindeer")
_BUILDINGS = words("bath bridge castle church gate hall library mill palace school temple theatre tower")
_COLOURS = words("black blue brown green grey orange pink red white yellow")
_MATERIALS = words("brass clay copper glass iron leather oak paper silver steel stone tin wood")
_POWERS = ("coal", "gas", "horses", "oil", "oxen", "steam", "sunlight", "water", "wind")
_INGREDIENTS = words("apple bean cheese chicken corn fish honey nut onion plum rice")
_COURSES = words("bread cake dumplings pie pudding salad soup stew")
_TASKS = ("cutting", "cleaning", "drying", "lifting", "moving", "packing", "washing", "weighing")


def _phrase(rng: Random, looks: list[str], things: list[str]) -> str:
    return with_article(f"{pick(rng, looks)} {pick(rng, things)}")


def _list(rng: Random, goods: list[str]) -> str:
    items: list[str] = []
    while len(items) < 3:
        item = pick(rng, goods)
        if item not in items:
            items.append(item)
    return f"{items[0]}, {items[1]} and {items[2]}" if rng.random() < 0.5 else f"{items[0]} and {items[1]}"


def _colours(rng: Random) -> str:
    first = int(rng.random() * len(_COLOURS))
    second = (first + 1 + int(rng.random() * (len(_COLOURS) - 1))) % len(_COLOURS)
    return f"{_COLOURS[first]} and {_COLOURS[second]}"


def _year(rng: Random) -> str:
    return str(1600 + int(rng.random() * 400))


VALUE_KINDS: dict[str, Callable[[Random], str]] = {
    "year": _year,
    "date": lambda rng: f"{1 + int(rng.random() * 28)} {pick(rng, _MONTHS)} {_year(rng)}",
    "month": lambda rng: pick(rng, _MONTHS),
    "day": lambda rng: pick(rng, _DAYS),
    "trade": lambda rng: with_article(pick(rng, _TRADES)),
    "hero": lambda rng: _phrase(rng, ["old", "young", "poor", "rich", "blind", "brave", "clever"], _TRADES),
    "goods": lambda rng: _list(rng, _GOODS),
    "edibles": lambda rng: _list(rng, _EDIBLES),
    "object": lambda rng: _phrase(rng, _LOOKS, _THINGS),
    "animal": lambda rng: _phrase(rng, ["black", "brown", "grey", "old", "red", "white", "young"], _ANIMALS),
    "mount": lambda rng: _phrase(rng, ["black", "brown", "grey", "old", "red", "white", "young"], _MOUNTS),
    "building": lambda rng: _phrase(rng, ["big", "golden", "old", "red", "round", "stone", "white"], _BUILDINGS),
    "colours": _colours,
    "material": lambda rng: f"{pick(rng, _MATERIALS)} and {pick(rng, ['bone', 'rubber', 'rope', 'wax'])}",
    "power": lambda rng: pick(rng, _POWERS),
    "food": lambda rng: f"{pick(rng, _INGREDIENTS)} {pick(rng, _COURSES)}",
    "task": lambda rng: f"{pick(rng, _TASKS)} {pick(rng, _GOODS)}",
}


def draw_value(kind: str, rng: Random) -> str:
    """A value that is no name: of `VALUE_KINDS`, or `count <unit> <low> <high>` such as `340 tonnes`."""
    if kind in VALUE_KINDS:
        return VALUE_KINDS[kind](rng)
    _, unit, low, high = kind.split()
    number = int(low) + int(rng.random() * (int(high) - int(low)))
    if number > 1000:
        number -= number % 10
    return f"{number:,} {unit}"
