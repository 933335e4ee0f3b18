"""What a task is: splits, a way to turn them into features, a loss, an answer, a score."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

if TYPE_CHECKING:
    from datasets import Dataset

Batch = dict[str, torch.Tensor]
Features = Any  # datasets.Dataset with input_ids, length, useful, example and what the objective adds


@dataclass(frozen=True)
class Source:
    """Where a run's data came from."""

    label: str
    """`bundled`, `file:<name>@<fingerprint>` or `hub:<name>@<revision>`"""
    fingerprint: str
    """hash of everything that determines the splits: contents, samples, how they were cut"""
    notes: tuple[str, ...] = ()
    """lines to announce: a substitute, a held-out split, dropped rows"""


@dataclass(frozen=True)
class Splits:
    """The three parts of a task's data; the evaluation part decides nothing."""

    train: Dataset
    validation: Dataset
    evaluation: Dataset
    source: Source
    problems: dict[str, int] = field(default_factory=dict)
    """rows corrected or dropped, counted by reason"""


@dataclass(frozen=True)
class Scores:
    """Figures over one part, and per example what intervals and paired tests need."""

    metrics: dict[str, float]
    per_example: dict[str, np.ndarray] = field(default_factory=dict)
    clusters: np.ndarray | None = None


def no_problems(features: Features) -> dict[str, int]:
    """Of a task whose encoding keeps everything."""
    return {}


@dataclass(frozen=True)
class Task:
    """A task, ready for the loop; built by the kind's one function from its config."""

    name: str
    objective: str
    """which head the model needs: `span`, `lm` or `classify`"""
    load: Callable[..., Splits]
    """(real_base: bool, fraction: float, max_validation: int | None) -> Splits"""
    encode: Callable[..., Features]
    """(examples, tokenizer, training: bool) -> Features"""
    collate: Callable[[Sequence[dict]], Batch]
    loss: Callable[[torch.nn.Module, Batch], torch.Tensor]
    """(model, batch) -> sum of the loss over supervised items ()"""
    items: Callable[[Batch], int]
    """batch -> number of supervised items (windows, tokens)"""
    answer: Callable[[torch.nn.Module, Batch], tuple[list[Any], float]]
    """(model, batch) -> for each feature something small (evaluation keeps answers, not logits), and the loss sum"""
    gather: Callable[..., dict[str, Any]]
    """(answers, features, examples) -> prediction by example id"""
    score: Callable[..., Scores]
    """(predictions, examples) -> Scores"""
    metrics: tuple[str, ...] = ()
    """names of its scores, any of which `validation.metric` may be"""
    problems: Callable[[Features], dict[str, int]] = no_problems
    """features -> what encoding could not keep whole, counted by reason"""
    longest: int = 0
    """longest input in tokens, by which key of the task: checked against the model's positions"""
    longest_key: str = ""


def pad(rows: Sequence[Sequence[int]], value: int) -> torch.Tensor:
    """Right-pad to the longest row.  -> (B, T)"""
    width = max(len(row) for row in rows)
    return torch.tensor([list(row) + [value] * (width - len(row)) for row in rows])
