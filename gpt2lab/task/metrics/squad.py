"""SQuAD v1.1's own exact match and F1 (Rajpurkar et al. 2016, section 6.1; `evaluate-v1.1.py`)."""

from __future__ import annotations

import re
import string
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

_ARTICLES = re.compile(r"\b(a|an|the)\b")
_NO_PUNCTUATION = str.maketrans("", "", string.punctuation)  # ASCII alone, as in the official script


def normalize_answer(text: str) -> str:
    """Lower, drop ASCII punctuation, drop the words a, an and the, squeeze white space: in this order."""
    return " ".join(_ARTICLES.sub(" ", text.lower().translate(_NO_PUNCTUATION)).split())


def exact_match(prediction: str, references: Sequence[str]) -> float:
    """1.0 if the prediction equals any reference once both are normalised, else 0.0.

    Two texts of which nothing is left are equal. Raises ValueError where there are no references.
    """
    return _best(lambda reference: float(normalize_answer(prediction) == normalize_answer(reference)), references)


def f1(prediction: str, references: Sequence[str]) -> float:
    """Largest F1 (0 to 1) between the bags of normalised words of the prediction and of a reference.

    As in the v1.1 script, no word in common is 0, even if both are empty (v2.0 gives 1 there).
    Raises ValueError where there are no references.
    """
    predicted = Counter(normalize_answer(prediction).split())

    def one(reference: str) -> float:
        expected = Counter(normalize_answer(reference).split())
        same = (predicted & expected).total()
        if same == 0:
            return 0.0
        precision, recall = same / predicted.total(), same / expected.total()
        return 2 * precision * recall / (precision + recall)

    return _best(one, references)


def score(predictions: Mapping[str, str], examples: Iterable[Mapping[str, Any]]) -> dict[str, dict[str, float]]:
    """Scores of each example by its id: `{"exact_match": 0.0 or 100.0, "f1": 0.0 to 100.0}`.

    `predictions` maps id to text; an example has "id" and "answers" with "text". An example without a
    prediction scores 0 and stays in the count; a prediction for no example is ignored.
    """
    scores = {}
    for example in examples:
        identifier, references = example["id"], example["answers"]["text"]
        if identifier in predictions:
            text = predictions[identifier]
            scores[identifier] = {
                "exact_match": 100.0 * exact_match(text, references),
                "f1": 100.0 * f1(text, references),
            }
        else:
            scores[identifier] = {"exact_match": 0.0, "f1": 0.0}
    return scores


def squad_metric() -> Any:
    """An `evaluate.Metric` of this file's scores: no download, nothing on disk, no lock.

    `.compute(predictions=[{"id", "prediction_text"}], references=[{"id", "answers": {"text",
    "answer_start"}}])` gives the means `{"exact_match": 0 to 100, "f1": 0 to 100}`, pairing by id.
    It raises ValueError for no examples, or for lists of different lengths.
    """
    import datasets
    import evaluate  # 4 s: not at the top of the file

    text = datasets.Value("string")
    features = datasets.Features(
        {
            "predictions": {"id": text, "prediction_text": text},
            "references": {
                "id": text,
                "answers": {
                    "text": datasets.List(text),
                    "answer_start": datasets.List(datasets.Value("int64")),
                },
            },
        }
    )

    class Squad(evaluate.Metric):  # type: ignore[misc]
        def _info(self) -> Any:
            return evaluate.MetricInfo(
                description="SQuAD v1.1 exact match and F1.",
                citation="Rajpurkar et al. 2016, https://arxiv.org/abs/1606.05250",
                inputs_description="predictions: id, prediction_text; references: id, answers.",
                features=features,
            )

        def _compute(self, predictions: list[dict[str, Any]], references: list[dict[str, Any]]) -> dict[str, float]:
            given = {prediction["id"]: prediction["prediction_text"] for prediction in predictions}
            scores = score(given, references).values()
            if not scores:
                raise ValueError("there are no examples to score")
            return {name: sum(one[name] for one in scores) / len(scores) for name in ("exact_match", "f1")}

    # evaluate makes a folder on construction even if all is kept in memory: one that goes away at once.
    with tempfile.TemporaryDirectory() as folder:
        return Squad(cache_dir=folder, keep_in_memory=True)


def _best(measure: Callable[[str], float], references: Sequence[str]) -> float:
    if isinstance(references, str) or not references:
        raise ValueError(f"references must be a list of at least one answer, not {references!r}")
    return max(measure(reference) for reference in references)
