"""Generated reading comprehension in SQuAD v1.1's own form, and pretraining text of the same language.

A passage tells a few facts each about two to four invented entities of one kind; a question names one entity
and one relation in words of its own, so the reader has to match both. Example:

    Torin Ashoser was born in Selbaton and works as a baker, while Mira Pelorvik was born in Kelrifield. ...
    What is the profession of Torin Ashoser?  ->  baker

Every draw comes from `Random.random` seeded by a string: the same seed gives the same text everywhere.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator
from itertools import count, islice
from random import Random
from typing import Any

from gpt2lab.data.synthetic import forms, names, passages, worlds_people, worlds_places, worlds_things
from gpt2lab.data.synthetic.forms import World
from gpt2lab.data.synthetic.names import check_pool, draw_name, pick, pool_of
from gpt2lab.data.synthetic.passages import Passage, capital, draw_passage, shuffled
from gpt2lab.errors import UserError

__all__ = ["documents", "generate", "pool_of"]

WORLDS: list[World] = [*worlds_people.WORLDS, *worlds_places.WORLDS, *worlds_things.WORLDS]

MODULES = (forms, names, passages, worlds_people, worlds_places, worlds_things)
"""what shapes the text beside this file; a cache is keyed by their source"""

PASSAGES_PER_ARTICLE = 5
MAX_QUESTIONS = 3
PLAIN = 0.1  # of the documents: a passage alone
MARKED = 0.6  # of the documents: question, then the passage with MARK before the answer; the others: questions after
MARK = "*"  # stands before the space before the answer, so that the answer's own tokens stay as they are
QUESTIONS_AFTER = (2, 3)


def articles(stream: str, pool: str, n_questions: int) -> Iterator[tuple[str, list[Passage]]]:
    """Endless articles (title, passages), no title twice; `stream` seeds them, article by article."""
    titles: Counter[str] = Counter()
    for number in count():
        if number % len(WORLDS) == 0:  # every world once before any comes again: small sets are balanced too
            worlds = shuffled(Random(f"{stream}/worlds/{number}"), WORLDS)
        rng = Random(f"{stream}/{number}")
        world = worlds[number % len(WORLDS)]
        region = draw_name("region", rng, pool, [])
        title = f"{capital(world.name)} of {region}"
        titles[title] += 1
        if titles[title] > 1:
            title += f" ({titles[title]})"
        draws = range(PASSAGES_PER_ARTICLE)
        yield title, [draw_passage(rng, pool, world, region, n_questions) for _ in draws]


def generate(n_passages: int, seed: int, split: str, questions_per_passage: int = 2) -> dict[str, Any]:
    """`n_passages` passages of `split` (train, validation, evaluation) as SQuAD v1.1 JSON.

    Format of Rajpurkar et al. 2016, "SQuAD: 100,000+ Questions for Machine Comprehension of Text". An article
    holds 5 passages on one kind of entity; ids are 24 hex digits, the same for a split, seed and place.
    Raises UserError for an unknown split, a negative `n_passages`, or questions outside 1 to 5.
    """
    check_pool(split)
    if n_passages < 0:
        raise UserError(f"n_passages: {n_passages} is negative; 0 or more is right")
    if not 1 <= questions_per_passage <= MAX_QUESTIONS:
        raise UserError(f"questions_per_passage: {questions_per_passage} is not between 1 and {MAX_QUESTIONS}")
    stream = f"squad/{split}/{seed}"
    data = []
    n_articles = -(-n_passages // PASSAGES_PER_ARTICLE)
    for number, (title, drawn) in enumerate(
        islice(articles(f"{stream}/{questions_per_passage}", split, questions_per_passage), n_articles)
    ):
        kept = drawn[: n_passages - number * PASSAGES_PER_ARTICLE]
        paragraphs = []
        for place, passage in enumerate(kept):
            qas = []
            for index, question in enumerate(passage.questions):
                key = f"{stream}/{questions_per_passage}/{number}/{place}/{index}"
                identity = hashlib.blake2b(key.encode(), digest_size=12).hexdigest()
                answers = [{"text": question.answer, "answer_start": question.start}]
                qas.append({"id": identity, "question": question.text, "answers": answers})
            paragraphs.append({"context": passage.context, "qas": qas})
        data.append({"title": title, "paragraphs": paragraphs})
    return {"version": "1.1", "data": data}


def marked(context: str, start: int) -> str:
    """`context` with MARK where the answer at character `start` begins: before its space, if there is one."""
    place = start - 1 if start and context[start - 1] == " " else start
    return context[:place] + MARK + context[place:]


def documents(n: int, seed: int) -> Iterator[str]:
    """`n` pretraining documents from the train pool, in a stream of draws that `generate` never uses.

    A share PLAIN are passages alone; a share MARKED are `question\\npassage` with MARK before the answer, so that
    a left-to-right reader learns to look for it; the rest are `passage\\n` and then lines of `question answer`.
    """
    rng = Random(f"pretraining/mixture/{seed}")
    stream = articles(f"pretraining/{seed}", "train", max(QUESTIONS_AFTER))
    passages = (passage for _, article in stream for passage in article)
    for passage in islice(passages, n):
        chance = rng.random()
        first = passage.questions[0]
        if chance < PLAIN:
            yield passage.context
        elif chance < PLAIN + MARKED:
            yield f"{first.text}\n{marked(passage.context, first.start)}"
        else:
            asked = passage.questions[: pick(rng, QUESTIONS_AFTER)]
            yield "\n".join([passage.context, *(f"{question.text} {question.answer}" for question in asked)])
