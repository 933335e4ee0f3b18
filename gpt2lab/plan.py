"""What a run will do, cost and need, derived before it starts."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from gpt2lab.data.batches import steps_per_epoch
from gpt2lab.errors import UserError
from gpt2lab.progress import duration
from gpt2lab.train.optim import TrainConfig
from gpt2lab.train.stopping import ValidationConfig

BYTES = 4  # of an fp32 number


@dataclass(frozen=True)
class Plan:
    """The run in numbers."""

    base: str
    data: str
    trainable: int
    total: int
    examples: dict[str, int]
    features: dict[str, int]
    """windows or blocks, by part"""
    problems: dict[str, int]
    steps: int
    validate_every: int
    phases: str
    checkpoint_bytes: int
    memory_bytes: int
    """estimated peak of the training process, beyond the libraries"""
    seconds: float
    """estimated training time"""

    def lines(self) -> list[str]:
        """For the user."""
        parts = ", ".join(f"{name} {n:,} ({self.features[name]:,} features)" for name, n in self.examples.items())
        dropped = ", ".join(f"{count:,} {name}" for name, count in self.problems.items()) or "none"
        return [
            f"base: {self.base}; data: {self.data}",
            f"parameters: trainable {self.trainable:,} of total {self.total:,} ({self.trainable / self.total:.2%})",
            f"examples: {parts}",
            f"rows mended or dropped: {dropped}",
            f"steps: {self.steps:,}, validated every {self.validate_every:,}; phases: {self.phases}",
            f"checkpoint: {self.checkpoint_bytes / 1e6:,.1f} MB; memory: about {self.memory_bytes / 1e6:,.0f} MB; "
            f"training: about {duration(self.seconds)} (estimated)",
        ]


def count_steps(config: TrainConfig, features: int) -> int:
    """Optimiser steps of the run: `epochs` passes, or `max_steps` if that is fewer."""
    per_epoch = steps_per_epoch(features, config.batch_size, config.accumulation_steps)
    return min(config.max_steps or math.inf, max(1, math.ceil(config.epochs * per_epoch)))  # type: ignore[return-value]


def validation_interval(config: ValidationConfig, steps: int) -> int:
    """Optimiser steps between validations; UserError for a number of steps that is not whole."""
    if config.every < 1:
        return max(1, round(config.every * steps))
    if config.every != int(config.every):
        raise UserError(f"validation.every={config.every}: a share of the run below 1, or a whole number of steps")
    return int(config.every)


def memory_estimate(model: torch.nn.Module, trainable: int, batch: int, width: int) -> int:
    """Bytes of weights, gradients, AdamW's two moments and saved activations in fp32.

    Activations of a block: 34 s b h bytes at two bytes a number (Korthikanti et al. 2022, equation 1, without the
    attention matrix, which fused attention does not keep), here at four.
    """
    config: Any = model.config
    weights = sum(p.numel() for p in model.parameters()) * BYTES
    activations = config.n_layer * 34 * (BYTES / 2) * batch * width * config.n_embd
    return int(weights + 3 * BYTES * trainable + activations)


def seconds_estimate(total: int, trainable: int, tokens: int, device: str) -> float:
    """2 operations a weight and token forward, 2 for the inputs' gradients, 2 for trainable weights' gradients, at
    the rate of a matrix product measured here and now (0.2 s), of which a training step reaches about half."""
    size = 1024
    a, b = torch.randn(size, size, device=device), torch.randn(size, size, device=device)
    began, fastest = time.perf_counter(), float("inf")
    while time.perf_counter() - began < 0.2:
        start = time.perf_counter()
        (a @ b).sum().item()
        fastest = min(fastest, time.perf_counter() - start)
    rate = 2 * size**3 / fastest
    return (4 * total + 2 * trainable) * tokens / (0.5 * rate)


def typical_width(lengths: Any) -> int:
    """Tokens of a wide batch: the 95th percentile of feature lengths."""
    return int(np.quantile(np.asarray(lengths), 0.95)) if len(lengths) else 0
