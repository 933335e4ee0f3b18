"""SQuAD as the loop gets it: splits by article, windows that lose no answer, figures that count what was read."""

from __future__ import annotations

import gzip
import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from datasets import Dataset, DatasetDict

import gpt2lab
from gpt2lab.data import hub
from gpt2lab.data.synthetic import squad as generator
from gpt2lab.errors import UserError
from gpt2lab.model.base import MINI
from gpt2lab.model.tokenizer import load_tokenizer
from gpt2lab.schema import Fallback
from gpt2lab.task import squad
from gpt2lab.task.base import Splits

DEFAULTS = Path(gpt2lab.__file__).parents[1] / "conf" / "task" / "squad.yaml"


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "cache")


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    loaded = load_tokenizer(MINI)
    loaded.model_max_length, loaded.gpt2lab_id = 512, "mini"
    return loaded


def config(**changes: Any) -> squad.SquadConfig:
    plain = yaml.safe_load(DEFAULTS.read_text())
    small = {"fallback": Fallback.allow, "bundled_train_passages": 60, "bundled_eval_passages": 20}
    return squad.SquadConfig(**(plain | small | changes))


def load(real_base: bool = False, fraction: float = 0.2, max_validation: int | None = None, **changes: Any) -> Splits:
    return squad.load(config(**changes), real_base=real_base, fraction=fraction, max_validation=max_validation)


def encode(examples: Any, tokenizer: Any, training: bool, **changes: Any) -> list[dict]:
    return squad.encode(config(**changes), examples, tokenizer, training).to_list()


def write(path: Path, passages: int = 60, split: str = "train", change: Callable[[dict], None] | None = None) -> str:
    data = generator.generate(passages, seed=3, split=split)
    if change:
        change(data)
    path.write_text(json.dumps(data))
    return str(path)


def titles(dataset: Any) -> set[str]:
    return set(dataset["title"])


def ids(dataset: Any) -> list[str]:
    return list(dataset["id"])


# ---- load


def test_bundled_splits_share_no_article() -> None:
    splits = load()
    assert splits.source.label == "bundled" and splits.source.notes == () and splits.problems == {}
    parts = [titles(p) for p in (splits.train, splits.validation, splits.evaluation)]
    assert sum(map(len, parts)) == len(set().union(*parts)) and all(parts)
    assert (len(splits.train) + len(splits.validation), len(splits.evaluation)) == (120, 40)


def test_a_training_file_alone_is_parted_by_article(tmp_path: Path) -> None:
    file = write(tmp_path / "train.json")
    splits = load(train_file=file, real_base=True)
    parts = [titles(p) for p in (splits.train, splits.validation, splits.evaluation)]
    assert sum(map(len, parts)) == len(set().union(*parts)) == 12 and all(parts)
    assert sum(len(p) for p in (splits.train, splits.validation, splits.evaluation)) == 120
    assert splits.source.label.startswith("file:train.json@")
    (note,) = splits.source.notes
    assert "no task.eval_file" in note and f"{len(splits.evaluation):,} questions" in note


def test_an_evaluation_file_is_scored_whole_and_nothing_else(tmp_path: Path) -> None:
    train, dev = write(tmp_path / "train.json"), tmp_path / "dev.json.gz"
    data = generator.generate(15, seed=9, split="evaluation")
    dev.write_bytes(gzip.compress(json.dumps(data).encode()))
    splits = load(train_file=train, eval_file=str(dev))
    expected = [q["id"] for a in data["data"] for p in a["paragraphs"] for q in p["qas"]]
    assert ids(splits.evaluation) == expected
    assert len(splits.train) + len(splits.validation) == 120 and not titles(splits.train) & titles(splits.validation)
    other = load(train_file=train, eval_file=write(tmp_path / "other.json", 15, "evaluation"))
    assert other.source.fingerprint != splits.source.fingerprint
    alone = load(eval_file=str(dev))
    assert ids(alone.evaluation) == expected and len(alone.train) == len(alone.validation) == 0


def test_samples_are_seeded_and_not_the_first_rows() -> None:
    whole, some = load(), load(max_train_examples=20, max_eval_examples=10, max_validation=5)
    assert [len(p) for p in (some.train, some.evaluation, some.validation)] == [20, 10, 5]
    for part in ("train", "evaluation", "validation"):
        all_ids, chosen = ids(getattr(whole, part)), ids(getattr(some, part))
        assert set(chosen) < set(all_ids) and chosen != all_ids[: len(chosen)]
    again = load(max_train_examples=20, max_eval_examples=10, max_validation=5)
    other = load(max_train_examples=20, max_eval_examples=10, max_validation=5, sample_seed=1)
    assert ids(again.train) == ids(some.train) and ids(again.evaluation) == ids(some.evaluation)
    assert ids(other.evaluation) != ids(some.evaluation)


def test_malformed_rows_are_counted_and_left_out(tmp_path: Path) -> None:
    def spoil(data: dict) -> None:
        questions = [q for a in data["data"] for p in a["paragraphs"] for q in p["qas"]]
        questions[0]["answers"] = []
        questions[1]["answers"][0]["text"] = "nowhere to be found"
        questions[2]["answers"][0]["answer_start"] += 1
        questions[5]["id"] = questions[4]["id"]

    splits = load(train_file=write(tmp_path / "t.json", change=spoil))
    assert splits.problems == {
        "no answers": 1, "answer not in context": 1, "offset corrected": 1, "duplicate id": 1
    }  # fmt: skip
    assert sum(len(p) for p in (splits.train, splits.validation, splits.evaluation)) == 117
    note = splits.source.notes[0]
    assert note.startswith("train data: 120 questions, 117 kept, 3 dropped") and "\n" not in note
    rows = [r for p in (splits.train, splits.validation, splits.evaluation) for r in p]
    for r in rows:
        for text, start in zip(r["answers"]["text"], r["answers"]["answer_start"], strict=True):
            assert r["context"][start : start + len(text)] == text


def test_a_file_without_a_usable_question_is_an_error(tmp_path: Path) -> None:
    def spoil(data: dict) -> None:
        for article in data["data"]:
            for paragraph in article["paragraphs"]:
                for question in paragraph["qas"]:
                    question["answers"] = []

    with pytest.raises(UserError, match="no usable question in the train data"):
        load(train_file=write(tmp_path / "t.json", change=spoil))


def test_an_unreachable_hub(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub, "load", lambda name, revision: (None, "no answer within 4 s"))
    with pytest.raises(UserError, match=r"rajpurkar/squad is neither cached nor reachable \(no answer") as caught:
        load(real_base=True, fallback=Fallback.error)
    assert "task.train_file=" in str(caught.value) and "\n" not in str(caught.value)
    splits = load(real_base=True)
    assert splits.source.label == "bundled" and "which are not SQuAD" in splits.source.notes[0]


def test_the_hub_is_asked_for_real_weights_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    def rows(prefix: str, count: int) -> Dataset:
        return Dataset.from_list([
            {"id": f"{prefix}{i}", "title": f"{prefix}{i // 4}", "context": "A mill.", "question": "What?",
             "answers": {"text": [] if i == 1 else ["mill"], "answer_start": [] if i == 1 else [2]}}
            for i in range(count)
        ])  # fmt: skip

    def found(name: str, revision: str | None) -> Any:
        assert (name, revision) == ("rajpurkar/squad", "main")
        return (DatasetDict({"train": rows("t", 40), "validation": rows("v", 8)}), "abc123"), ""

    monkeypatch.setattr(hub, "load", found)
    splits = load(real_base=True, hub_revision="main")
    assert splits.source.label == "hub:rajpurkar/squad@abc123" and splits.source.fingerprint == "abc123"
    assert ids(splits.evaluation) == [f"v{i}" for i in range(8) if i != 1]  # SQuAD v2's, without an answer
    assert splits.problems == {"no answers": 2} and len(splits.train) + len(splits.validation) == 39
    assert load(real_base=False).source.label == "bundled"


# ---- encode


def test_gold_places_give_the_gold_text(tokenizer: Any) -> None:
    """Tokens begin and end where the answers do; a place inside a token would give a longer text."""
    splits = load(bundled_train_passages=500, bundled_eval_passages=100)
    for part in (splits.train, splits.evaluation):
        rows, found = part.to_list(), []
        for f in encode(part, tokenizer, training=False):
            if f["start"] > f["null"]:
                r = rows[f["example"]]
                a, b = f["char_start"][f["start"] - f["first"]], f["char_end"][f["end"] - f["first"]]
                found.append((r["context"][a:b], r["answers"]["text"][0]))
        assert len(found) >= len(rows)  # every question has a window with its answer
        assert not [pair for pair in found if pair[0] != pair[1]]


@pytest.mark.parametrize(("max_length", "stride"), [(64, 128), (64, 10), (64, 0), (24, 8), (384, 128)])
def test_no_training_answer_is_lost(max_length: int, stride: int, tokenizer: Any) -> None:
    part = load(bundled_train_passages=100).train
    features = encode(part, tokenizer, training=True, max_length=max_length, stride=stride)
    held = {f["example"] for f in features if f["start"] > f["null"]}
    fits = {i for i, r in enumerate(part) if len(tokenizer(r["answers"]["text"][0])["input_ids"]) < max_length // 3}
    assert fits <= held and len(fits) > 0.95 * len(part)
    assert max(f["length"] for f in features) <= max_length
    assert all(len(f["input_ids"]) == f["length"] for f in features)
    reported = squad.problems(squad.encode(config(max_length=max_length, stride=stride), part, tokenizer, True))
    assert reported.get("answer in no window", 0) == len(part) - len(held)


def test_labels_point_at_the_answer(tokenizer: Any) -> None:
    part = load().train
    rows = part.to_list()
    for f in encode(part, tokenizer, training=True, max_length=64, stride=10):
        assert f["null"] == f["first"] - 1 and f["input_ids"][f["null"]] == f["input_ids"][-1]
        assert f["last"] == f["length"] - 2
        if f["start"] == f["null"]:
            assert f["end"] == f["null"]
            continue
        assert f["first"] <= f["start"] <= f["end"] <= f["last"]
        text = tokenizer.decode(f["input_ids"][f["start"] : f["end"] + 1])
        assert rows[f["example"]]["answers"]["text"][0] in text


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize(("max_length", "stride"), [(64, 0), (64, 10), (64, 128), (24, 8), (384, 128)])
def test_useful_counts_each_token_once(max_length: int, stride: int, training: bool, tokenizer: Any) -> None:
    part = load().train
    useful: Counter[int] = Counter()
    for f in encode(part, tokenizer, training=training, max_length=max_length, stride=stride):
        assert 0 <= f["useful"] <= f["length"]
        useful[f["example"]] += f["useful"]
    for i, r in enumerate(part):
        question = min(max_length // 2, len(tokenizer(r["question"])["input_ids"]))
        assert useful[i] == question + len(tokenizer(r["context"])["input_ids"]) + 2


def test_windows_of_evaluation_know_nothing_of_the_answer(tokenizer: Any) -> None:
    part = load().train
    plain = encode(part, tokenizer, training=False, max_length=40, stride=0)
    blind = part.map(lambda r: {"answers": {"text": [r["context"][:1]], "answer_start": [0]}})
    assert [f["input_ids"] for f in plain] == [
        f["input_ids"] for f in encode(blind, tokenizer, False, max_length=40, stride=0)
    ]
    assert len(encode(part, tokenizer, training=True, max_length=40, stride=0)) > len(plain)  # answers across two


def test_a_long_question_and_a_long_answer_are_counted(tokenizer: Any) -> None:
    context = " ".join(f"word{i}" for i in range(60))
    asked = [("Why? " * 90, "word3"), ("Why?", context[6:400]), ("Why?", "word5")]
    rows = [{"id": str(i), "title": "t", "context": context, "question": question, "problem": "",
             "answers": {"text": [answer], "answer_start": [context.index(answer)]}}
            for i, (question, answer) in enumerate(asked)]  # fmt: skip
    features = squad.encode(config(max_length=64, stride=16), Dataset.from_list(rows), tokenizer, training=True)
    assert squad.problems(features) == {"question cut": 1, "answer in no window": 1}
    cut = next(f for f in features if f["example"] == 0)
    assert cut["first"] == 32 + 1 and any(f["start"] > f["null"] for f in features if f["example"] == 0)
    short = squad.encode(config(), Dataset.from_list(rows[2:]), tokenizer, training=True)
    assert squad.problems(short) == {}
    assert squad.squad(config()).problems is squad.problems


def test_a_window_longer_than_the_model_is_refused(tokenizer: Any) -> None:
    with pytest.raises(UserError, match=r"task\.max_length=513: this model has 512 positions"):
        encode(load().train, tokenizer, True, max_length=513)


# ---- score


def test_score_is_per_question_and_clustered_by_article() -> None:
    examples = Dataset.from_list([
        {"id": "a", "title": "T", "answers": {"text": ["The old mill", "mill"], "answer_start": [0, 8]}},
        {"id": "b", "title": "T", "answers": {"text": ["in 1843"], "answer_start": [0]}},
        {"id": "c", "title": "U", "answers": {"text": ["Rome"], "answer_start": [0]}},
    ])  # fmt: skip
    guesses = {"a": [{"text": "Old mill!"}, {"text": "no"}], "b": [{"text": "1843"}], "c": []}
    scores = squad.score(guesses, examples)
    assert scores.per_example["exact_match"].tolist() == [100, 0, 0]
    assert scores.per_example["f1"].tolist() == pytest.approx([100, 100 * 2 / 3, 0])
    assert scores.metrics == pytest.approx({"exact_match": 100 / 3, "f1": 500 / 9})
    assert scores.clusters is not None and np.array_equal(scores.clusters, ["T", "T", "U"])
    assert set(squad.squad(config()).metrics) == set(scores.metrics)
