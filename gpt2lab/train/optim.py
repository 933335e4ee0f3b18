"""Optimiser and learning-rate schedule."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import Enum

import torch
from torch import nn

from gpt2lab.schema import knob


class Decay(Enum):
    """Shape of the learning rate after warm-up."""

    linear = "linear"
    cosine = "cosine"
    constant = "constant"


@dataclass
class TrainConfig:
    """How a run optimises. One step is one update, over `batch_size * accumulation_steps` examples."""

    lr: float = knob(gt=0)
    """peak learning rate"""
    epochs: float = knob(gt=0)
    """passes over the training features"""
    max_steps: int | None = knob(ge=1)
    """optimiser steps; the smaller of this and `epochs` ends the run"""
    batch_size: int = knob(ge=1)
    """training features (windows, blocks) in one forward pass"""
    accumulation_steps: int = knob(ge=1)
    """forward passes in one optimiser step; the loss is normalised by supervised items over all of them"""
    schedule: Decay = knob()
    """decay after warm-up: linear and cosine to 0, or constant"""
    warmup: float = knob(ge=0, lt=1)
    """share of the steps over which the learning rate rises linearly"""
    weight_decay: float = knob(ge=0)
    """decoupled, on matrices only (AdamW, Loshchilov and Hutter 2019)"""
    clip: float | None = knob(gt=0)
    """largest norm of the gradient over all trainable weights; null: no clipping"""
    grad_norms: bool = knob()
    """write the gradient norm of every trainable tensor to history.jsonl"""


def lr_factor(step: int, steps: int, warmup: float, decay: Decay) -> float:
    """Learning rate at `step` (from 0) as a share of the peak: linear warm-up, then the decay to 0 at `steps`."""
    warm = math.ceil(warmup * steps)
    if step < warm:
        return (step + 1) / (warm + 1)
    if decay is Decay.constant:
        return 1.0
    progress = (step - warm) / max(1, steps - warm)
    return 1.0 - progress if decay is Decay.linear else 0.5 * (1.0 + math.cos(math.pi * progress))


def build(
    model: nn.Module, config: TrainConfig, steps: int
) -> tuple[torch.optim.Optimizer, torch.optim.lr_scheduler.LambdaLR]:
    """AdamW on the trainable weights, decay on matrices only, with its schedule over `steps`."""
    trainable = [p for p in model.parameters() if p.requires_grad]
    groups = [
        {"params": [p for p in trainable if p.ndim >= 2], "weight_decay": config.weight_decay},
        {"params": [p for p in trainable if p.ndim < 2], "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW([g for g in groups if g["params"]], lr=config.lr, fused=True)
    scheduler = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: lr_factor(step, steps, config.warmup, config.schedule)
    )
    return optimizer, scheduler
