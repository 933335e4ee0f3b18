"""Score a model on one part of a task: batches by length, answers kept, logits dropped."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from gpt2lab.data.batches import by_token_budget
from gpt2lab.precision import execute
from gpt2lab.report.stats import bootstrap_interval
from gpt2lab.task.base import Scores, Task


@dataclass(frozen=True)
class Evaluation:
    """What evaluating one part gives."""

    loss: float
    """mean over supervised items"""
    scores: Scores
    predictions: dict[str, Any]
    features: int


def evaluate(model: torch.nn.Module, task: Task, features: Any, examples: Any, *, precision: str, device: str,
             batch_tokens: int, progress: Any = None) -> Evaluation:  # fmt: skip
    """Answer every feature in eval mode at the stated precision, gather over windows, and score.

    `batch_tokens` bounds a batch, pads included; `progress` is called with the number of features done.
    """
    was_training = model.training
    model.eval()
    answers: list[Any] = [None] * len(features)
    total, items = 0.0, 0
    with torch.inference_mode(), execute.context(precision, device):
        for chosen in by_token_budget(features["length"][:], batch_tokens):
            batch = {k: v.to(device) for k, v in task.collate(features.__getitems__(chosen)).items()}
            found, loss = task.answer(model, batch)
            for i, answer in zip(chosen, found, strict=True):
                answers[i] = answer
            total, items = total + loss, items + task.items(batch)
            if progress is not None:
                progress(len(chosen))
    model.train(was_training)
    predictions = task.gather(answers, features, examples)
    return Evaluation(total / max(1, items), task.score(predictions, examples), predictions, len(features))


def with_intervals(evaluation: Evaluation, prefix: str) -> dict[str, float]:
    """Flat figures `<prefix>/<metric>`, with `_low` and `_high` of its 95 % interval clustered by document."""
    scores = evaluation.scores
    flat = {f"{prefix}/loss": evaluation.loss, f"{prefix}/n": len(evaluation.predictions)}
    for name, value in scores.metrics.items():
        flat[f"{prefix}/{name}"] = value
        if name in scores.per_example:
            low, high = bootstrap_interval(scores.per_example[name], scores.clusters)
            flat[f"{prefix}/{name}_low"], flat[f"{prefix}/{name}_high"] = low, high
    return flat
