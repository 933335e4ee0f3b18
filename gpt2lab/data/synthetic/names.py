"""Invented names from syllables, each in exactly one pool: train, validation or evaluation.

A name's pool is a stable hash of the name, so a name met in one split never appears in another,
whatever the seed. Only `Random.random` is drawn from: it is the one method whose sequence Python
promises to keep from version to version.
"""

from __future__ import annotations

import difflib
import hashlib
from collections.abc import Callable, Sequence
from random import Random
from typing import TypeVar

from gpt2lab.errors import UserError

POOLS = ("train", "validation", "evaluation")
POOL_EDGES = (0.70, 0.85)  # train below the first, validation below the second, evaluation above

T = TypeVar("T")


def words(text: str) -> list[str]:
    """The words of a plain list, as it is easiest to read and edit."""
    return text.split()


_HEADS = words("Al Bel Cal Dar El Fal Gar Hal Is Jor Kel Lan Mar Nor Os Per Ral Sel Tor Ul Val Wes Yor Zan")
_MIDDLES = words("a an ba da de dor en er fa go i in ka la lin mi mor na o ra re ri so ta ti va ve")
_MALE = words("an den in mund or ric ton vin")
_FEMALE = words("a da ela ena ina la ora sa")
_FAMILY_HEADS = words("Ash Ban Bran Cor Dun Est Far Gren Hart Hol Kem Lind Mel Nev Ost Pel Rav Sten Tarn Vos Wex")
_FAMILY_MIDDLES = words("a el en er i in o or")
_FAMILY_TAILS = words("by dal ger ler man mark ner rick ser son ter vik")
_TOWN_TAILS = words("berg bridge burg bury field ford ham haven hill mouth port stead ton town ville wood")
_REGION_TAILS = words("bia dia land lia nia ria shire via")
_ADJECTIVES = words("Blue Bold Bright Dark Golden Green Lucky Old Proud Quiet Red Silver White Wild Young")
_NOUNS = words(
    "Arrow Bear Bell Crown Eagle Flower Fox Garden Horse King Lamp Lion Moon Mirror Queen River Rose Star "
    "Sword Tiger Tower Wind Winter Wolf"
)
_MACHINES = words("Clock Engine Lamp Loom Mill Plough Press Pump Saw Stove Wheel")
_DISHES = words("bread cake pie pudding soup stew")


def pick(rng: Random, items: Sequence[T]) -> T:
    """One item, each equally likely."""
    return items[int(rng.random() * len(items))]


def _stem(rng: Random) -> str:
    return pick(rng, _HEADS) + pick(rng, _MIDDLES)


def _long_stem(rng: Random) -> str:
    return pick(rng, _HEADS) + pick(rng, _MIDDLES) + pick(rng, _FAMILY_TAILS)


def _family(rng: Random) -> str:
    return pick(rng, _FAMILY_HEADS) + pick(rng, _FAMILY_MIDDLES) + pick(rng, _FAMILY_TAILS)


def _person(rng: Random) -> str:
    given = pick(rng, _HEADS) + pick(rng, _MALE if rng.random() < 0.5 else _FEMALE)
    return f"{given} {_family(rng)}"


def _company(rng: Random) -> str:
    if rng.random() < 0.7:
        return f"{_family(rng)} & {_family(rng)}"
    return f"{_long_stem(rng)} {pick(rng, ('Brothers', 'Works', 'Trading', 'Mills'))}"


def _ship(rng: Random) -> str:
    first = pick(rng, _ADJECTIVES) if rng.random() < 0.3 else _stem(rng)
    return f"the {first} {pick(rng, _NOUNS)}"


def _book(rng: Random) -> str:
    if rng.random() < 0.5:
        return f"The {pick(rng, _NOUNS)} of {_long_stem(rng)}"
    return f"A {pick(rng, _NOUNS)} for {_long_stem(rng)}"


NAME_KINDS: dict[str, Callable[[Random], str]] = {
    "person": _person,
    "town": lambda rng: _stem(rng) + pick(rng, _TOWN_TAILS),
    "region": lambda rng: _stem(rng) + pick(rng, _MIDDLES) + pick(rng, _REGION_TAILS),
    "river": lambda rng: f"the River {_long_stem(rng)}",
    "lake": lambda rng: f"Lake {_long_stem(rng)}",
    "mountain": lambda rng: f"Mount {_long_stem(rng)}",
    "company": _company,
    "ship": _ship,
    "book": _book,
    "machine": lambda rng: f"the {_family(rng)} {pick(rng, _MACHINES)}",
    "museum": lambda rng: f"the {_family(rng)} {pick(rng, ('Museum', 'Gallery', 'Collection'))}",
    "festival": lambda rng: f"the {_long_stem(rng)} {pick(rng, ('Festival', 'Fair', 'Feast'))}",
    "team": lambda rng: f"{_long_stem(rng)} {pick(rng, ('United', 'City', 'Athletic', 'Albion'))}",
    "ground": lambda rng: f"{_family(rng)} {pick(rng, ('Park', 'Road', 'Field', 'Lane'))}",
    "dish": lambda rng: f"{_long_stem(rng)} {pick(rng, _DISHES)}",
}


def bare(name: str) -> str:
    """The name without a leading article, which a sentence may write with or without a capital."""
    for article in ("the ", "The ", "a ", "A ", "an ", "An "):
        if name.startswith(article):
            return name[len(article) :]
    return name


def pool_of(name: str) -> str:
    """The pool, one of `POOLS`, of a full invented name; a leading article does not count."""
    digest = hashlib.blake2b(bare(name).encode(), digest_size=8).digest()
    share = int.from_bytes(digest, "big") / 2**64
    return POOLS[(share >= POOL_EDGES[0]) + (share >= POOL_EDGES[1])]


def check_pool(pool: str) -> None:
    """Raises UserError if `pool` is none of `POOLS`."""
    if pool not in POOLS:
        near = difflib.get_close_matches(pool, POOLS, n=1, cutoff=0)[0]
        raise UserError(f"split: {pool!r} is none of {', '.join(POOLS)}; did you mean {near!r}?")


def draw_name(kind: str, rng: Random, pool: str, taken: list[str]) -> str:
    """A name of `kind` from `pool` that neither contains nor is contained in one of `taken`; added to it."""
    make = NAME_KINDS[kind]
    while True:
        name = make(rng)
        key = bare(name).lower()
        if pool_of(name) == pool and not any(key in other or other in key for other in taken):
            taken.append(key)
            return name


def pronoun_of(kind: str, name: str) -> str:
    """`he`, `she` or `it`: an invented given name is a woman's if it ends in a."""
    if kind != "person":
        return "it"
    return "she" if name.split()[0].endswith("a") else "he"
