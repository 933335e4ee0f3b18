"""Executing a phase: the context in which forward passes of that precision run."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import torch

from gpt2lab.errors import UserError

AUTOCAST = {"bf16": torch.bfloat16}


def executed(precision: str) -> str:
    """The precision that runs when `precision` is asked for (they differ where hardware lacks one)."""
    if precision not in ("fp32", *AUTOCAST):
        raise UserError(f"precision={precision}: cannot be executed; valid: fp32, {', '.join(AUTOCAST)}")
    return precision


def context(precision: str, device: str) -> AbstractContextManager:
    """Run a forward pass inside this: fp32 as it is, bf16 under autocast (weights stay fp32)."""
    name = executed(precision)
    if name == "fp32":
        return nullcontext()
    return torch.autocast(device.split(":")[0], dtype=AUTOCAST[name])
