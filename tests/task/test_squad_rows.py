from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gpt2lab.errors import UserError
from gpt2lab.task.squad_rows import (
    CORRECTED,
    DROPPED,
    REMOVED,
    nearest_occurrence,
    read_squad,
    summarise,
    summary_line,
)

CONTEXT = "The Rhine rises in Switzerland. The Rhine ends in the Netherlands, 1,230 km away."
MISSING = object()


def question(identifier: Any = "q1", **changes: Any) -> dict[str, Any]:
    entry = {
        "id": identifier,
        "question": "Where does it rise?",
        "answers": [{"text": "Switzerland", "answer_start": 19}],
    }
    return {name: value for name, value in (entry | changes).items() if value is not MISSING}


def squad(*questions: Any, **changes: Any) -> dict[str, Any]:
    fields = {"title": "Rhine", "context": CONTEXT} | changes
    article: dict[str, Any] = {"paragraphs": [{"qas": list(questions)}]}
    if fields["title"] is not MISSING:
        article["title"] = fields["title"]
    if fields["context"] is not MISSING:
        article["paragraphs"][0]["context"] = fields["context"]
    return {"version": "1.1", "data": [article]}


def read(folder: Path, content: Any) -> list[dict[str, Any]]:
    path = folder / "squad.json"
    path.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
    return list(read_squad(path))


def assert_well_formed(row: dict[str, Any]) -> None:
    assert list(row) == ["id", "title", "context", "question", "answers", "problem"]
    assert all(type(row[name]) is str for name in ("id", "title", "context", "question", "problem"))
    json.dumps(row, ensure_ascii=False).encode("utf-8")  # printable and savable: raises on a lone surrogate
    texts, starts = row["answers"]["text"], row["answers"]["answer_start"]
    assert len(texts) == len(starts) and all(type(start) is int for start in starts)
    assert row["problem"] in DROPPED | {"", CORRECTED, REMOVED}
    if row["problem"] not in DROPPED:
        assert texts and row["id"] and row["context"].strip() and row["question"].strip()
        pairs = zip(texts, starts, strict=True)
        assert all(start >= 0 and row["context"].startswith(text, start) for text, start in pairs)


def test_a_sound_row_is_flat_and_unchanged(tmp_path: Path) -> None:
    (row,) = read(tmp_path, squad(question()))
    assert row == {
        "id": "q1",
        "title": "Rhine",
        "context": CONTEXT,
        "question": "Where does it rise?",
        "answers": {"text": ["Switzerland"], "answer_start": [19]},
        "problem": "",
    }


BROKEN_QUESTIONS: list[tuple[Any, str]] = [
    (question(answers=[]), "no answers"),
    (question(answers=[{"text": "Austria", "answer_start": 19}]), "answer not in context"),
    (question(answers=[{"text": " ", "answer_start": 3}]), "empty answer"),
    (question(answers=[{"text": "", "answer_start": 0}]), "empty answer"),
    (question(answers=MISSING), "missing field"),
    (question(answers=None), "missing field"),
    (question(answers="Switzerland"), "wrong type"),
    (question(answers={"text": ["Switzerland"], "answer_start": [19]}), "wrong type"),
    (question(answers=["Switzerland"]), "wrong type"),
    (question(answers=[{"answer_start": 19}]), "missing field"),
    (question(answers=[{"text": "Switzerland"}]), "missing field"),
    (question(answers=[{"text": 1230, "answer_start": 67}]), "wrong type"),
    (question(answers=[{"text": "Switzerland", "answer_start": "19"}]), "wrong type"),
    (question(answers=[{"text": "Switzerland", "answer_start": True}]), "wrong type"),
    (question(answers=[{"text": "Switzerland", "answer_start": 19.0}]), "wrong type"),
    (question(answers=[{"text": "Switzer\udc80and", "answer_start": 19}]), "bad encoding"),
    (question(question=""), "empty question"),
    (question(question=" \n"), "empty question"),
    (question(question=MISSING), "missing field"),
    (question(question=["Where?"]), "wrong type"),
    (question(question="Wh\udc80re?"), "bad encoding"),
    (question(question="Where \ud800?"), "bad encoding"),
    (question(MISSING), "missing field"),
    (question(17), "wrong type"),
    (question(""), "empty id"),
    (question("q\udfff"), "bad encoding"),
    (question(is_impossible=True, answers=[]), "unanswerable"),
    (question(is_impossible="no"), "wrong type"),
    ("Where does it rise?", "wrong type"),
    (None, "wrong type"),
]


@pytest.mark.parametrize(("entry", "problem"), BROKEN_QUESTIONS)
def test_a_broken_question_is_named_and_its_neighbours_stay(tmp_path: Path, entry: Any, problem: str) -> None:
    before, broken, after = read(tmp_path, squad(question("a"), entry, question("b")))
    assert broken["problem"] == problem and problem in DROPPED
    assert [before["problem"], after["problem"]] == ["", ""]
    assert_well_formed(broken)


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"title": MISSING}, "missing field"),
        ({"title": 7}, "wrong type"),
        ({"title": "Rh\ud812ne"}, "bad encoding"),
        ({"context": MISSING}, "missing field"),
        ({"context": ["The Rhine"]}, "wrong type"),
        ({"context": "  "}, "empty context"),
        ({"context": CONTEXT + "\udc80"}, "bad encoding"),
    ],
)
def test_a_broken_paragraph_costs_its_questions(tmp_path: Path, changes: dict[str, Any], problem: str) -> None:
    content = squad(question("a"), question("b"), **changes)
    content["data"] += squad(question("c"))["data"]
    rows = read(tmp_path, content)
    assert [(row["id"], row["problem"]) for row in rows] == [("a", problem), ("b", problem), ("c", "")]
    for row in rows:
        assert_well_formed(row)


def test_an_unreadable_article_or_paragraph_is_one_row(tmp_path: Path) -> None:
    content = squad(question())
    content["data"] += [3, {"title": "Elbe"}, {"title": "Elbe", "paragraphs": "none"}]
    content["data"] += [{"title": "Elbe", "paragraphs": [None, {"context": "x"}]}]
    rows = read(tmp_path, content)
    expected = ["", "wrong type", "missing field", "wrong type", "wrong type", "missing field"]
    assert [row["problem"] for row in rows] == expected
    assert [row["title"] for row in rows] == ["Rhine", "", "Elbe", "Elbe", "Elbe", "Elbe"]


@pytest.mark.parametrize(
    ("stated", "found"),
    [(4, 4), (36, 36), (0, 4), (10, 4), (25, 36), (-5, 4), (9999, 36), (10**40, 36), (20, 4)],
)
def test_a_wrong_offset_moves_to_the_nearest_occurrence(tmp_path: Path, stated: int, found: int) -> None:
    (row,) = read(tmp_path, squad(question(answers=[{"text": "Rhine", "answer_start": stated}])))
    assert row["answers"] == {"text": ["Rhine"], "answer_start": [found]}
    assert row["problem"] == ("" if stated == found else CORRECTED)


@settings(derandomize=True, database=None)
@given(st.text("ab", max_size=30), st.text("ab", min_size=1, max_size=3), st.integers(-5, 40))
def test_nearest_occurrence_equals_a_search_of_all(context: str, text: str, start: int) -> None:
    all_of_them = [at for at in range(len(context)) if context.startswith(text, at)]
    expected = min(all_of_them, key=lambda at: (abs(at - start), at), default=-1)
    assert nearest_occurrence(context, text, start) == expected


def test_sound_answers_of_a_mixed_list_are_kept(tmp_path: Path) -> None:
    sound, gone = {"text": "Switzerland", "answer_start": 19}, {"text": "Austria", "answer_start": 19}
    moved, odd = {"text": "1,230 km", "answer_start": 3}, {"text": "Rhine", "answer_start": None}
    (row,) = read(tmp_path, squad(question(answers=[gone, sound, "Rhine", odd, moved])))
    at = CONTEXT.index("1,230 km")
    assert row["answers"] == {"text": ["Switzerland", "1,230 km"], "answer_start": [19, at]}
    assert row["problem"] == REMOVED and REMOVED not in DROPPED


def test_a_duplicate_id_keeps_the_first_sound_row(tmp_path: Path) -> None:
    broken = question("q1", answers=[])
    rows = read(tmp_path, squad(broken, question("q1", question="One?"), question("q1", question="Two?")))
    assert [row["problem"] for row in rows] == ["no answers", "", "duplicate id"]
    assert rows[1]["question"] == "One?"


def test_version_2_keeps_its_answerable_questions(tmp_path: Path) -> None:
    plausible = {"plausible_answers": [{"text": "Rhine", "answer_start": 4}], "answers": []}
    rows = read(tmp_path, squad(question(is_impossible=False), question("q2", is_impossible=True, **plausible)))
    assert [row["problem"] for row in rows] == ["", "unanswerable"]
    assert rows[1]["answers"] == {"text": [], "answer_start": []}


def nodes(tree: Any) -> list[tuple[Any, Any]]:
    """(container, key) of every value in a JSON tree."""
    here: list[tuple[Any, Any]]
    if isinstance(tree, dict):
        here = [(tree, key) for key in tree]
    elif isinstance(tree, list):
        here = [(tree, index) for index in range(len(tree))]
    else:
        return []
    return here + [node for container, key in here for node in nodes(container[key])]


def json_values() -> st.SearchStrategy[Any]:
    plain = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=True) | st.text(max_size=5)
    surrogates = st.text(st.characters(categories=["Cs"]), min_size=1, max_size=2)
    keys = st.sampled_from(["id", "text", "answer_start", "context", "qas", "paragraphs", "x"])
    return st.recursive(
        plain | surrogates,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=3),
        max_leaves=6,
    )


@settings(max_examples=400, deadline=None, derandomize=True, database=None)
@given(data=st.data())
def test_any_value_anywhere_is_counted_and_never_raises(data: st.DataObject, tmp_path_factory: Any) -> None:
    content = squad(question("a"), question("b", is_impossible=False))
    content["data"] += squad(question("c"), question("d"))["data"]
    for _ in range(data.draw(st.integers(1, 3))):
        container, key = data.draw(st.sampled_from(nodes(content["data"])[1:] or [(content, "version")]))
        if data.draw(st.booleans()):
            container[key] = data.draw(json_values())
        else:
            del container[key]
    folder = tmp_path_factory.getbasetemp()
    readable = any(isinstance(article, dict) and "paragraphs" in article for article in content["data"])
    if not readable:
        with pytest.raises(UserError):
            read(folder, content)
        return
    rows = read(folder, content)
    for row in rows:
        assert_well_formed(row)
    kept = [row["id"] for row in rows if row["problem"] not in DROPPED]
    assert len(kept) == len(set(kept))
    assert summarise((row["id"], row["problem"]) for row in rows)["kept"] == len(kept)


def test_the_summary_adds_up_and_names_a_few() -> None:
    problems = [(f"q{n}", "") for n in range(1500)]
    problems += [(f"lost{n}", "no answers") for n in range(5)] + [("", "wrong type"), ("m\n1", CORRECTED)]
    summary = summarise(iter(problems))
    assert (summary["rows"], summary["kept"], summary["dropped"]) == (1507, 1501, 6)
    assert summary["problems"]["no answers"] == {"count": 5, "ids": ["lost0", "lost1", "lost2"]}
    assert list(summary["problems"]) == ["no answers", CORRECTED, "wrong type"]
    assert summary_line(summary) == (
        "1,507 questions, 1,501 kept, 6 dropped "
        "(5 no answers: lost0, lost1, lost2, ...; 1 wrong type: (no id)); mended: 1 offset corrected: m 1"
    )
    nothing = {"rows": 0, "kept": 0, "dropped": 0, "problems": {}}
    assert summarise([]) == nothing and summary_line(nothing) == "0 questions, 0 kept, 0 dropped"


def test_a_replacement_character_that_the_file_really_holds_is_text(tmp_path: Path) -> None:
    # SQuAD's article on Unicode is about this very character
    entry = question(question="What is \ufffd called?")
    assert [row["problem"] for row in read(tmp_path, squad(entry))] == [""]
