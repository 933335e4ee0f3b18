"""When validation says stop, and which checkpoint is best: one rule for both."""

from __future__ import annotations

import math
from dataclasses import dataclass

from gpt2lab.schema import knob


@dataclass
class ValidationConfig:
    """The validation part is cut from the training data by article; the evaluation split decides nothing."""

    every: float = knob(gt=0)
    """below 1: a share of the run's steps; from 1 on: optimiser steps between two validations"""
    fraction: float = knob(gt=0, lt=1)
    """share of the training articles held out"""
    max_examples: int | None = knob(ge=1)
    """a seeded sample of the held-out part, in examples; null: all"""
    metric: str = knob()
    """what selects the best checkpoint: `loss` or one of the task's scores; losses and perplexities are minimised"""
    patience: int | None = knob(ge=1)
    """validations without improvement before the run stops; null: never"""
    min_delta: float = knob(ge=0)
    """smallest change of the metric that counts as improvement, in the metric's unit"""


def lower_is_better(metric: str) -> bool:
    """Losses, perplexities and bits are minimised, every other score maximised."""
    return any(word in metric for word in ("loss", "perplexity", "bits"))


class Stopping:
    """Follows one metric over validations: is this the best so far, and has patience run out?"""

    def __init__(self, config: ValidationConfig):
        self.metric, self.patience, self.min_delta = config.metric, config.patience, config.min_delta
        self.sign = -1.0 if lower_is_better(config.metric) else 1.0
        self.best: float | None = None
        self.best_step: int | None = None
        self.without = 0

    def update(self, value: float, step: int) -> bool:
        """Take a validation's figure; True if it is finite and the best so far by more than `min_delta`."""
        better = self.best is None or self.sign * (value - self.best) > self.min_delta
        improved = better and math.isfinite(value)
        if improved:
            self.best, self.best_step, self.without = value, step, 0
        else:
            self.without += 1
        return improved

    @property
    def exhausted(self) -> bool:
        """True once `patience` validations in a row brought no improvement."""
        return self.patience is not None and self.without >= self.patience

    def state(self) -> dict[str, float | int | None]:
        """What a checkpoint keeps."""
        return {"best": self.best, "best_step": self.best_step, "without": self.without}

    def restore(self, state: dict) -> None:
        """Take up a checkpoint's state."""
        self.best, self.best_step, self.without = state["best"], state["best_step"], state["without"]
