from __future__ import annotations

import random
import re
import socket
import string
import tempfile
from pathlib import Path
from typing import Any

import pytest

from gpt2lab.task.metrics.squad import exact_match, f1, normalize_answer, score, squad_metric

REFERENCES = [
    ["the Denver Broncos", "Denver Broncos", "Broncos"],
    ["\u201cThe\u201d na\u00efve caf\u00e9", "the na\u00efve caf\u00e9s"],
    ["1,230\u00a0km", "1230 km (764 miles)"],
    ["\u0130stanbul \u2014 a city", "\u039f\u0394\u03a5\u03a3\u03a3\u0395\u03a5\u03a3"],
    ["The", "an"],
    ["\u6771\u4eac\u3001\u65e5\u672c", "Tokyo, Japan \U0001f5fc"],
    ["a\u0301rbol", "A\u200bthe\u3000b", "x_the_y the-end"],
    ["to be or not to be", "be"],
]
PIECES = [
    "the ",
    " a ",
    "An",
    " ",
    "\t",
    "\u00a0",
    "\u3000",
    ".",
    ",",
    "\u2014",
    "\u201c",
    "\u00df",
    "be be",
    "\u0301",
]


def perturbed(count: int, seed: int) -> list[tuple[str, list[str]]]:
    """Answers made from a reference by case, deleting, inserting, repeating and shuffling words."""
    rng = random.Random(seed)
    pairs = []
    for _ in range(count):
        references = rng.choice(REFERENCES)
        text = rng.choice([*references, "", "Broncos of Denver", " ".join(rng.choice(REFERENCES))])
        for _ in range(rng.randrange(4)):
            at = rng.randrange(len(text) + 1)
            words = text.split(" ")
            rng.shuffle(words)
            text = rng.choice(
                [
                    text.upper(),
                    text.title(),
                    text[:at] + text[at + 2 :],
                    text[:at] + rng.choice(PIECES) + text[at:],
                    text + " " + text[:at],
                    " ".join(words),
                ]
            )
        pairs.append((text, references))
    return pairs


def words_by_definition(text: str) -> list[str]:
    """The rule written afresh: runs of word characters that are an article become a space."""
    kept = "".join(character for character in text.lower() if character not in string.punctuation)
    runs = re.findall(r"\w+|\W", kept)
    return "".join(" " if run in ("a", "an", "the") else run for run in runs).split()


def f1_by_definition(prediction: str, reference: str) -> float:
    predicted, expected, same = words_by_definition(prediction), words_by_definition(reference), 0
    left = list(expected)
    for word in predicted:
        if word in left:
            left.remove(word)
            same += 1
    return 2 * same / (len(predicted) + len(expected)) if same else 0.0


def test_two_thousand_answers_equal_the_definition() -> None:
    seen = set()
    for prediction, references in perturbed(2000, seed=1):
        words = words_by_definition(prediction)
        assert normalize_answer(prediction) == " ".join(words)
        matches = any(words == words_by_definition(reference) for reference in references)
        best = max(f1_by_definition(prediction, reference) for reference in references)
        assert exact_match(prediction, references) == float(matches)
        assert f1(prediction, references) == pytest.approx(best, abs=1e-12)
        seen.add(0 if best == 0 else 2 if matches else 1)
    assert seen == {0, 1, 2}  # wrong, partly right and right answers were all among them


def test_a_thousand_answers_equal_torchmetrics() -> None:
    torchmetrics = pytest.importorskip("torchmetrics.functional.text")
    compared = both_empty = 0
    for prediction, references in perturbed(1200, seed=2):
        target = {"id": "q", "answers": {"text": references, "answer_start": [0] * len(references)}}
        theirs = torchmetrics.squad({"id": "q", "prediction_text": prediction}, target)
        assert 100 * exact_match(prediction, references) == float(theirs["exact_match"])
        if not words_by_definition(prediction) and not all(map(words_by_definition, references)):
            both_empty += 1  # torchmetrics follows v2.0 here, where two empty answers have an F1 of 1
            assert (f1(prediction, references), float(theirs["f1"])) == (0.0, 100.0)
        else:
            compared += 1
            assert 100 * f1(prediction, references) == pytest.approx(float(theirs["f1"]), abs=1e-4)
    assert compared >= 1000 and both_empty > 0


def test_cases_by_hand() -> None:
    assert normalize_answer("  The U.S.A.'s  \n an-end ") == "usas anend"
    assert normalize_answer("x_the_y") == "xthey"  # punctuation goes before articles
    assert normalize_answer("\u201cthe\u201d") == "\u201c \u201d"  # ASCII punctuation alone is removed
    assert normalize_answer("Theatre a la") == "theatre la"
    assert exact_match("the Broncos!", ["broncos"]) == 1.0
    assert exact_match("Denver", ["Denver Broncos", "denver."]) == 1.0
    assert f1("Denver Broncos", ["Broncos"]) == pytest.approx(2 / 3)  # precision 1/2, recall 1
    assert f1("be be be", ["to be or not to be"]) == pytest.approx(4 / 9)  # 2 in common of 3 and of 6
    assert f1("Paris", ["London"]) == 0.0
    assert (exact_match("the", ["a"]), f1("the", ["a"])) == (1.0, 0.0)
    assert (exact_match("", ["Rhine"]), f1("", ["Rhine"])) == (0.0, 0.0)


@pytest.mark.parametrize("references", [[], "Rhine"])
def test_references_must_be_a_list_of_answers(references: Any) -> None:
    for measure in (exact_match, f1):
        with pytest.raises(ValueError, match="list of at least one answer"):
            measure("Rhine", references)


def example(identifier: str, *texts: str) -> dict[str, Any]:
    return {"id": identifier, "answers": {"text": list(texts), "answer_start": [0] * len(texts)}}


def test_score_counts_a_missing_prediction_as_zero() -> None:
    examples = [example("a", "the Rhine"), example("b", "Elbe"), example("c", "Denver Broncos", "x")]
    scores = score({"a": "Rhine", "c": "Broncos", "z": "Elbe"}, iter(examples))
    assert list(scores) == ["a", "b", "c"]
    assert scores["a"] == {"exact_match": 100.0, "f1": 100.0}
    assert scores["b"] == {"exact_match": 0.0, "f1": 0.0}
    assert scores["c"] == {"exact_match": 0.0, "f1": pytest.approx(200 / 3)}


def test_the_evaluate_metric_works_offline_and_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    evaluate = pytest.importorskip("evaluate")
    cache, temporary = tmp_path / "cache", tmp_path / "temporary"
    temporary.mkdir()

    def refuse(*_: Any) -> None:
        raise AssertionError("the metric tried the network")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr(evaluate.module.config, "HF_METRICS_CACHE", str(cache))
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))

    pairs = perturbed(200, seed=3)
    predictions = [{"id": str(n), "prediction_text": text} for n, (text, _) in enumerate(pairs)]
    references = [example(str(n), *texts) for n, (_, texts) in enumerate(pairs)]
    expected = {
        "exact_match": 100 * sum(exact_match(*pair) for pair in pairs) / 200,
        "f1": 100 * sum(max(f1_by_definition(text, one) for one in texts) for text, texts in pairs) / 200,
    }
    metric, other = squad_metric(), squad_metric()  # two at once: no lock is shared
    assert isinstance(metric, evaluate.Metric)
    metric.add_batch(predictions=predictions[:50], references=references[:50])
    half = other.compute(predictions=predictions[:100], references=references[:100])
    metric.add_batch(predictions=predictions[50:], references=references[50:])
    assert metric.compute() == pytest.approx(expected)
    paired_by_id = other.compute(predictions=predictions[::-1], references=references)
    assert paired_by_id == pytest.approx(expected)
    assert half != pytest.approx(expected)
    for some in (predictions, []):
        with pytest.raises(ValueError, match=r"Mismatch|no examples"):
            other.compute(predictions=some, references=[])
    assert not cache.exists() and list(temporary.iterdir()) == []
