"""Schedules are functions of the step."""

from __future__ import annotations

import pytest

from gpt2lab import precision
from gpt2lab.hardware import native_cpu
from gpt2lab.precision.schedule import ConstantConfig, Phase, Precision, resolve


@pytest.mark.parametrize("name", ["fp32", "bf16"])
def test_constant_never_changes(name: str) -> None:
    config = ConstantConfig("constant", Precision[name], Precision.fp32)
    schedule = precision.kinds.get("constant").build(config, 1000)
    assert {schedule(step) for step in range(1000)} == {Phase(name)}


def test_auto_is_what_the_machine_has() -> None:
    assert resolve(Precision.auto, native_cpu(frozenset({"avx512_bf16"}))) is Precision.bf16
    assert resolve(Precision.auto, native_cpu(frozenset({"avx2", "avx512f"}))) is Precision.fp32
    for asked in (Precision.fp32, Precision.bf16):  # what was asked for holds
        assert resolve(asked, ("fp32",)) is resolve(asked, ("fp32", "bf16")) is asked
