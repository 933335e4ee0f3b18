"""Phases and schedules: which precision a step runs at. Pure: a schedule is a function of the step alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

from gpt2lab.precision import register
from gpt2lab.schema import knob


class Precision(Enum):
    """Precisions a phase can ask for; `auto` is bf16 where the machine has it natively, else fp32."""

    auto = "auto"
    fp32 = "fp32"
    bf16 = "bf16"


@dataclass(frozen=True)
class Phase:
    """A stretch of steps at one precision."""

    precision: str


Schedule = Callable[[int], Phase]
"""The phase at an optimiser step, counted from 0."""


@dataclass
class ConstantConfig:
    """One precision from the first step to the last."""

    kind: str = knob()
    precision: Precision = knob()
    """of training steps"""
    eval: Precision = knob()
    """of validation and evaluation"""


@register("constant", ConstantConfig)
def constant(config: ConstantConfig, steps: int) -> Schedule:
    """The schedule that never changes; `auto` must have been resolved by `resolve` before."""
    phase = Phase(config.precision.name)
    return lambda step: phase


def resolve(precision: Precision, native: tuple[str, ...]) -> Precision:
    """`auto` as this machine has it: bf16 if native, else fp32."""
    if precision is not Precision.auto:
        return precision
    return Precision.bf16 if "bf16" in native else Precision.fp32
