"""A passage: facts drawn for a few invented entities, told in sentences, and questions about them."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import TypeVar

from gpt2lab.data.synthetic.forms import Relation, World, draw_value
from gpt2lab.data.synthetic.names import NAME_KINDS, bare, draw_name, pick, pronoun_of

WORDS = (20, 60)  # a passage's length, in words
SENTENCES = (2, 5)
# entities x relations of a passage; about one fact in ten is left out
SHAPES = ((2, 2), (2, 2), (2, 3), (3, 2))
LEFT_OUT = 0.1
ANSWER_FIRST = 0.14  # of the facts that open a sentence: the reader is causal, so this stays a minority
WHOLE_SENTENCE = 0.3  # of the facts that open a sentence: subject and relation in another order
BY_RELATION = 0.4  # of the passages set the entities side by side; the others tell of one after another
JOINED = 0.7  # two facts in one sentence, where there are two left
PRONOUN = 0.8  # he, she or it for the entity of the sentence before, where that is clear
INTRODUCTION = 0.25
FILLER = 0.35

_NUMBERS = {2: "two", 3: "three", 4: "four"}
# after one of these, "it" still means the subject of the sentence before
_CLEAR_OF_IT = {"person", "year", "date", "month", "day", "count", "goods", "edibles", "colours", "trade"}

T = TypeVar("T")


@dataclass(frozen=True)
class Fact:
    """One relation of one entity and its answer as the passage has it, article included."""

    entity: str
    relation: Relation
    answer: str


@dataclass(frozen=True)
class Question:
    """A question with its answer: `context[start : start + len(answer)] == answer`, once in the context."""

    text: str
    answer: str
    start: int
    fact: Fact


@dataclass(frozen=True)
class Passage:
    """A context, its questions, and what it was made of."""

    context: str
    questions: list[Question]
    world: World
    names: list[str]
    """Every invented name in the context, the region's included."""
    forms: list[str]
    """The wordings used, as written in the world."""


def shuffled(rng: Random, items: list[T]) -> list[T]:
    return sorted(items, key=lambda _: rng.random())


def capital(text: str) -> str:
    return text[0].upper() + text[1:]


class Writer:
    """Turns facts into sentences; remembers the wordings it used."""

    def __init__(self, rng: Random, world: World) -> None:
        self.rng = rng
        self.kind = world.entity
        self.forms: list[str] = []

    def _fill(self, form: str, fact: Fact) -> str:
        self.forms.append(form)
        return form.replace("{s}", fact.entity).replace("{a}", fact.answer)

    def predicate(self, fact: Fact) -> str:
        """`was born in Selbaton`"""
        return self._fill(pick(self.rng, fact.relation.predicates), fact)

    def clause(self, fact: Fact) -> tuple[str, bool]:
        """A clause that names the entity, and whether the entity is its subject."""
        chance = self.rng.random()
        if chance < ANSWER_FIRST:
            return self._fill(pick(self.rng, fact.relation.answer_first), fact), False
        if chance < ANSWER_FIRST + WHOLE_SENTENCE:
            return self._fill(pick(self.rng, fact.relation.sentences), fact), False
        return f"{fact.entity} {self.predicate(fact)}", True

    def pronoun_is_clear(self, fact: Fact) -> bool:
        """Whether he, she or it after this fact can only mean its entity."""
        kind = fact.relation.answer.split()[0]
        return kind not in ("person", "hero") if self.kind == "person" else kind in _CLEAR_OF_IT

    def sentence(self, facts: list[Fact], follows: bool) -> str:
        """One or two facts of one entity in a sentence; `follows`: a pronoun may stand for the entity."""
        first, rest = facts[0], facts[1:]
        pronoun = pronoun_of(self.kind, first.entity)
        if follows:
            verb, _, tail = self.predicate(first).partition(" ")
            also = self.rng.random() < 0.4
            if also and verb in ("is", "was"):
                text = f"{pronoun} {verb} also {tail}"
            else:
                text = f"{pronoun} {'also ' if also else ''}{verb} {tail}"
            is_subject = True
        else:
            text, is_subject = self.clause(first)
        for fact in rest:
            if is_subject and (not self.pronoun_is_clear(first) or self.rng.random() < 0.6):
                text += f" and {self.predicate(fact)}"
            elif self.pronoun_is_clear(first):
                text += f", and {pronoun} {self.predicate(fact)}"
            else:
                text += f", and {self.clause(fact)[0]}"
        return capital(text) + "."

    def contrast(self, one: Fact, other: Fact) -> str:
        """The same relation of two entities in a sentence."""
        return capital(f"{self.clause(one)[0]}, {pick(self.rng, ('while', 'but', 'and'))} {self.clause(other)[0]}.")


def _by_entity(writer: Writer, facts: list[Fact]) -> list[str]:
    """Units of text, each about one entity; inside a unit a pronoun may stand for it."""
    rng = writer.rng
    units: list[str] = []
    for entity in shuffled(rng, list(dict.fromkeys(fact.entity for fact in facts))):
        own = shuffled(rng, [fact for fact in facts if fact.entity == entity])
        sentences: list[str] = []
        last: Fact | None = None
        while own:
            size = 2 if len(own) > 1 and rng.random() < JOINED else 1
            follows = last is not None and writer.pronoun_is_clear(last) and rng.random() < PRONOUN
            sentences.append(writer.sentence(own[:size], follows))
            last, own = own[size - 1], own[size:]
        units.append(" ".join(sentences))
    return units


def _by_relation(writer: Writer, facts: list[Fact]) -> list[str]:
    """Units of text, each about one relation, the entities side by side."""
    rng = writer.rng
    units: list[str] = []
    for name in dict.fromkeys(fact.relation.name for fact in facts):
        own = shuffled(rng, [fact for fact in facts if fact.relation.name == name])
        while own:
            if len(own) > 1 and rng.random() < JOINED:
                units.append(writer.contrast(own[0], own[1]))
                own = own[2:]
            else:
                units.append(writer.sentence(own[:1], follows=False))
                own = own[1:]
    return units


def _draw_facts(rng: Random, world: World, pool: str, taken: list[str]) -> list[Fact]:
    """The passage's table, entities by relations: a few cells left out, no answer twice."""
    n_entities, n_relations = pick(rng, SHAPES)
    entities = [draw_name(world.entity, rng, pool, taken) for _ in range(n_entities)]
    relations = shuffled(rng, world.relations)[:n_relations]
    facts: list[Fact] = []
    used: set[str] = set()
    for relation in relations:
        for entity in entities:
            if rng.random() < LEFT_OUT:
                continue
            if relation.answer in NAME_KINDS:
                answer = draw_name(relation.answer, rng, pool, taken)
            else:
                answer = draw_value(relation.answer, rng)
                while answer in used:
                    answer = draw_value(relation.answer, rng)
                used.add(answer)
            facts.append(Fact(entity, relation, answer))
    return facts


def _ask(rng: Random, context: str, facts: list[Fact], n: int) -> list[Question]:
    """Up to n questions on facts whose answer stands in the context exactly once."""
    questions: list[Question] = []
    lower = context.lower()
    for fact in shuffled(rng, facts):
        answer = bare(fact.answer)
        if len(questions) < n and lower.count(answer.lower()) == 1:
            start = lower.index(answer.lower())
            text = capital(pick(rng, fact.relation.questions).replace("{s}", fact.entity))
            questions.append(Question(text, context[start : start + len(answer)], start, fact))
    return questions


def draw_passage(rng: Random, pool: str, world: World, region: str, n_questions: int) -> Passage:
    """A passage with exactly `n_questions` questions, all its names from `pool`."""
    while True:
        taken = [region.lower()]
        facts = _draw_facts(rng, world, pool, taken)
        names = list(dict.fromkeys(fact.entity for fact in facts))
        if len(names) < 2:  # nothing to mix it up with
            continue
        writer = Writer(rng, world)
        layout = _by_relation if rng.random() < BY_RELATION else _by_entity
        units = shuffled(rng, layout(writer, facts))
        if rng.random() < INTRODUCTION:
            listed = f"{', '.join(names[:-1])} and {names[-1]}"
            form = pick(rng, world.introductions).replace("{n}", _NUMBERS[len(names)])
            units.insert(0, capital(form.replace("{list}", listed).replace("{r}", region)))
            names.append(region)
        if rng.random() < FILLER:
            units.insert(int(rng.random() * (len(units) + 1)), pick(rng, world.fillers))
        context = " ".join(units)
        n_sentences = context.count(". ") + 1
        n_words = context.count(" ") + 1
        if not (SENTENCES[0] <= n_sentences <= SENTENCES[1] and WORDS[0] <= n_words <= WORDS[1]):
            continue
        questions = _ask(rng, context, facts, n_questions)
        if len(questions) == n_questions:
            names += [fact.answer for fact in facts if fact.relation.answer in NAME_KINDS]
            return Passage(context, questions, world, names, writer.forms)
