from __future__ import annotations

import json
import os
import re
import string
import subprocess
import sys
from collections import Counter
from itertools import islice
from typing import Any

import pytest

from gpt2lab.data.synthetic import squad
from gpt2lab.data.synthetic.forms import parse_worlds
from gpt2lab.data.synthetic.names import bare, pool_of
from gpt2lab.data.synthetic.passages import SENTENCES, WORDS, Passage
from gpt2lab.errors import UserError

SPLITS = ("train", "validation", "evaluation")


def passages(split: str, n: int = 1000) -> list[Passage]:
    """The passages `generate(n, seed=1, split)` writes, with what they were made of."""
    articles = squad.articles(f"squad/{split}/1/2", split, 2)
    return list(islice((passage for _, article in articles for passage in article), n))


def rows(data: dict[str, Any]) -> list[tuple[str, str, str]]:
    """(context, question, answer) of every question."""
    return [
        (paragraph["context"], qa["question"], qa["answers"][0]["text"])
        for article in data["data"]
        for paragraph in article["paragraphs"]
        for qa in paragraph["qas"]
    ]


def phrases(texts: list[str]) -> set[str]:
    """Every run of one to four words: no name is longer."""
    found = set()
    for text in set(texts):
        words = [word.strip(".,?") for word in text.split()]
        for size in (1, 2, 3, 4):
            found.update(" ".join(words[i : i + size]) for i in range(len(words) - size + 1))
    return found


def normalise(text: str) -> str:
    """As the official SQuAD v1.1 evaluation script does."""
    kept = "".join(letter for letter in text.lower() if letter not in string.punctuation)
    return " ".join(re.sub(r"\b(a|an|the)\b", " ", kept).split())


def exact_match(predictions: list[str], answers: list[str]) -> float:
    return sum(normalise(p) == normalise(a) for p, a in zip(predictions, answers, strict=True)) / len(answers)


@pytest.fixture(scope="module")
def by_split() -> dict[str, list[Passage]]:
    return {split: passages(split) for split in SPLITS}


@pytest.mark.parametrize("split", SPLITS)
def test_official_shape_with_exact_offsets_and_answers_once(split: str) -> None:
    data = squad.generate(203, 1, split, questions_per_passage=3)
    assert set(data) == {"version", "data"} and data["version"] == "1.1"
    assert json.loads(json.dumps(data)) == data
    paragraphs = [paragraph for article in data["data"] for paragraph in article["paragraphs"]]
    assert [len(article["paragraphs"]) for article in data["data"]] == [5] * 40 + [3]
    assert len(paragraphs) == 203 and len({paragraph["context"] for paragraph in paragraphs}) == 203
    assert len({article["title"] for article in data["data"]}) == 41
    for paragraph in paragraphs:
        assert set(paragraph) == {"context", "qas"} and len(paragraph["qas"]) == 3
        assert len({qa["question"] for qa in paragraph["qas"]}) == 3
        for qa in paragraph["qas"]:
            assert set(qa) == {"id", "question", "answers"} and qa["question"].endswith("?")
            (answer,) = qa["answers"]
            start, text = answer["answer_start"], answer["text"]
            assert paragraph["context"][start : start + len(text)] == text
            assert paragraph["context"].lower().count(text.lower()) == 1
            assert text == text.strip() and "{" not in text + qa["question"] + paragraph["context"]


def test_lengths_sentences_and_spelling(by_split: dict[str, list[Passage]]) -> None:
    for passage in by_split["train"]:
        sentences = re.split(r"(?<=\.) ", passage.context)
        low, high = SENTENCES
        assert low <= len(sentences) <= high
        assert WORDS[0] <= len(passage.context.split()) <= WORDS[1]
        assert all(re.match(r"[A-Z0-9]", sentence) and sentence.endswith(".") for sentence in sentences)
        assert not re.search(r"\ba [aeiou]|\ban [^aeiou]|  |\bthe the\b", passage.context), passage.context


def test_same_seed_same_text_in_another_process() -> None:
    code = (
        "import json; from gpt2lab.data.synthetic import squad;"
        "print(json.dumps([squad.generate(20, 5, 'evaluation'), list(squad.documents(20, 5))]))"
    )
    outputs = [
        subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONHASHSEED": hash_seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for hash_seed in ("1", "2")
    ]
    assert outputs[0] == outputs[1]
    assert json.loads(outputs[0]) == [squad.generate(20, 5, "evaluation"), list(squad.documents(20, 5))]
    assert squad.generate(20, 5, "evaluation") != squad.generate(20, 6, "evaluation")


def test_more_passages_begin_with_the_same_ones() -> None:
    few, many = squad.generate(7, 1, "train"), squad.generate(50, 1, "train")
    assert rows(few) == rows(many)[: len(rows(few))]


def test_ids_differ_over_splits_seeds_and_sizes() -> None:
    ids = [
        qa["id"]
        for split in SPLITS
        for seed in (0, 1)
        for questions in (1, 2)
        for article in squad.generate(50, seed, split, questions)["data"]
        for paragraph in article["paragraphs"]
        for qa in paragraph["qas"]
    ]
    assert len(ids) == 3 * 2 * (50 + 100) == len(set(ids))
    assert all(re.fullmatch(r"[0-9a-f]{24}", identity) for identity in ids)


def test_names_of_a_split_are_met_in_no_other(by_split: dict[str, list[Passage]]) -> None:
    names = {split: {bare(name) for p in found for name in p.names} for split, found in by_split.items()}
    for split, own in names.items():
        assert len(own) > 1500
        assert {pool_of(name) for name in own} == {split}
    # The text itself, questions and titles included, against a list of the other splits' names.
    for split in SPLITS:
        data = squad.generate(1000, 1, split)
        texts = [part for row in rows(data) for part in row] + [article["title"] for article in data["data"]]
        met = phrases(texts)
        assert len(names[split] & met) == len(names[split])
        for other in set(SPLITS) - {split}:
            assert names[other] & met == set()


def test_a_passage_lists_all_its_names(by_split: dict[str, list[Passage]]) -> None:
    """What is capitalised inside a sentence is a name of the list, a month, or a day."""
    calendar = r"(Janu|Febru)ary|March|April|May|June|July|August|(Sept|Nov|Dec)ember|October|\w+day"
    for passage in by_split["validation"]:
        text = passage.context
        for name in sorted(passage.names, key=len, reverse=True):
            assert bare(name) in text
            text = text.replace(bare(name), "")
        inner = re.findall(r"(?<=[a-z,0-9] )[A-Z]\w+", text)
        # an article that belongs to a title ("The Bear of Selmaby") stays behind
        assert [word for word in inner if word not in ("The", "A") and not re.fullmatch(calendar, word)] == []


def test_no_name_is_part_of_another(by_split: dict[str, list[Passage]]) -> None:
    for passage in by_split["train"]:
        names = [bare(name).lower() for name in passage.names]
        assert not [(a, b) for a in names for b in names if a != b and a in b]
        assert len(names) == len(set(names))


def test_every_relation_has_its_wordings() -> None:
    assert len(squad.WORLDS) >= 8
    for world in squad.WORLDS:
        assert len(world.relations) >= 5 and world.introductions and world.fillers
        questions = [question for relation in world.relations for question in relation.questions]
        assert len(questions) == len(set(questions)), world.name
        for relation in world.relations:
            forms = relation.predicates + relation.sentences + relation.answer_first
            assert len(set(forms)) >= 4 and len(relation.questions) >= 4, (world.name, relation.name)
            assert all(form.count("{a}") == 1 and "{s}" not in form for form in relation.predicates)
            assert all(0 <= form.find("{s}") < form.find("{a}") for form in relation.sentences), relation
            assert all(0 <= form.find("{a}") < form.find("{s}") for form in relation.answer_first), relation
            assert all(question.count("{s}") == 1 and question[-1] == "?" for question in relation.questions)


def test_a_line_that_is_no_notation_is_named() -> None:
    with pytest.raises(ValueError, match="no mark here"):
        parse_worlds("towns: town\nno mark here")


def test_worlds_relations_answers_and_wordings_all_occur(by_split: dict[str, list[Passage]]) -> None:
    found = by_split["train"]
    worlds = Counter(passage.world.name for passage in found)
    assert set(worlds) == {world.name for world in squad.WORLDS}
    assert max(worlds.values()) - min(worlds.values()) <= squad.PASSAGES_PER_ARTICLE
    questions = [(passage.world.name, question) for passage in found for question in passage.questions]
    asked = {(world, question.fact.relation.name) for world, question in questions}
    assert asked == {(world.name, relation.name) for world in squad.WORLDS for relation in world.relations}
    kinds = Counter(question.fact.relation.answer.split()[0] for _, question in questions)
    assert max(kinds.values()) < 0.3 * len(questions)
    forms = Counter(form for passage in found for form in passage.forms)
    assert len(forms) > 500
    first = {form for w in squad.WORLDS for r in w.relations for form in r.answer_first}
    assert 0.05 < sum(forms[form] for form in first) / sum(forms.values()) < 0.15


def test_a_question_has_distractors(by_split: dict[str, list[Passage]]) -> None:
    """The question names its entity, and the passage tells of another one as well."""
    for passage in by_split["evaluation"]:
        for question in passage.questions:
            assert bare(question.fact.entity) in question.text
            others = {bare(name) for name in passage.names} - {bare(question.fact.entity)}
            assert any(other in passage.context for other in others)
            assert normalise(question.answer) not in normalise(question.text)


def test_no_reading_no_score() -> None:
    """Baselines that ignore the passage, or the question, or both."""
    seen = rows(squad.generate(1000, 1, "train"))
    unseen = rows(squad.generate(500, 1, "evaluation"))
    answers = [answer for *_, answer in unseen]
    per_word: dict[str, Counter[str]] = {}
    for _, question, answer in seen:
        per_word.setdefault(question.split()[0], Counter())[answer] += 1
    habit = [per_word[question.split()[0]].most_common(1)[0][0] for _, question, _ in unseen]
    assert exact_match(habit, answers) < 0.15
    # A name or number: capitalised words in a row (with & and of), or digits with their unit.
    span = re.compile(r"(?!The |It )[A-Z]\w+(?: (?:& |of )?[A-Z]\w+)*")
    first_name = [span.search(context).group() for context, *_ in unseen]  # type: ignore[union-attr]
    assert exact_match(first_name, answers) < 0.15
    last_name = [span.findall(context)[-1] for context, *_ in unseen]
    assert exact_match(last_name, answers) < 0.15
    assert exact_match(answers, answers) == 1.0


def test_documents_are_the_stated_mixture_of_train_text() -> None:
    found = list(squad.documents(600, 1))
    assert len(found) == 600 == len(set(found))
    kinds: Counter[str] = Counter()
    for document in found:
        lines = document.split("\n")
        if len(lines) == 1:
            kinds["plain"] += 1
        elif lines[0].endswith("?"):
            kinds["marked"] += 1
            question, passage = lines
            assert passage.count(squad.MARK) == 1 and len(question) < len(passage)
        else:
            kinds["questions after"] += 1
            assert 3 <= len(lines) <= 4
            for line in lines[1:]:
                answer = line.split("? ")[1]
                assert lines[0].count(answer) == 1
    assert sum(kinds.values()) == 600
    # standard error of a half of 600 draws: 0.02
    wanted = {"plain": squad.PLAIN, "marked": squad.MARKED, "questions after": 1 - squad.PLAIN - squad.MARKED}
    assert all(abs(kinds[kind] / 600 - share) < 0.08 for kind, share in wanted.items())


def test_a_mark_stands_before_the_space_before_the_answer() -> None:
    assert squad.marked("He was born in Selby.", 15) == "He was born in* Selby."
    assert squad.marked("Selby is old.", 0) == "*Selby is old."
    assert squad.marked("(Selby) is old.", 1) == "(*Selby) is old."


def test_documents_share_no_passage_with_any_split() -> None:
    written = {line for seed in (1, 2) for document in squad.documents(500, seed) for line in document.split("\n")}
    for split in SPLITS:
        contexts = {context for seed in (1, 2) for context, *_ in rows(squad.generate(500, seed, split))}
        assert len(contexts) == 1000 and not contexts & written


def test_documents_meet_no_name_of_the_held_out_splits(by_split: dict[str, list[Passage]]) -> None:
    held_out = {bare(name) for split in SPLITS[1:] for p in by_split[split] for name in p.names}
    assert held_out & phrases(list(squad.documents(1000, 1))) == set()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((5, 1, "evaluate"), "did you mean 'evaluation'"),
        ((-1, 1, "train"), "n_passages: -1"),
        ((5, 1, "train", 9), "between 1 and 3"),
    ],
)
def test_a_wrong_argument_is_named(arguments: tuple[Any, ...], message: str) -> None:
    with pytest.raises(UserError, match=message):
        squad.generate(*arguments)
