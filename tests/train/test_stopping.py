"""Early stopping against sequences worked out by hand."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from gpt2lab.train.stopping import Stopping, lower_is_better

NAN, INF = float("nan"), float("inf")


def follow(rule: Stopping, values: list[float]) -> tuple[list[bool], int | None]:
    """Which validations improved, and after how many the run would stop."""
    improved, stopped = [], None
    for number, value in enumerate(values, start=1):
        improved.append(rule.update(value, number * 10))
        if rule.exhausted and stopped is None:
            stopped = number
    return improved, stopped


@pytest.mark.parametrize(
    ("metric", "patience", "min_delta", "values", "improved", "stopped", "best"),
    [
        ("loss", 2, 0.0, [3.0, 2.0, 2.0, 2.5, 1.0], "yynny", 4, (1.0, 50)),
        ("loss", 2, 0.5, [3.0, 2.6, 2.4, 2.0, 1.9], "ynynn", 5, (2.4, 30)),  # 2.6 is no step of 0.5; 2.4 is, from 3.0
        ("f1", 2, 0.0, [10.0, 20.0, 20.0, 15.0, 30.0], "yynny", 4, (30.0, 50)),
        ("f1", 1, 1.0, [10.0, 11.0, 12.0], "yny", 2, (12.0, 30)),  # exactly min_delta is not more than it
        ("loss", None, 0.0, [1.0, 2.0, 3.0, 4.0], "ynnn", None, (1.0, 10)),
        ("loss", 2, 0.0, [NAN, 3.0, NAN, NAN, 2.0], "nynny", 4, (2.0, 50)),
        ("f1", 2, 0.0, [NAN, NAN, 1.0], "nny", 2, (1.0, 30)),
        ("f1", 3, 0.0, [INF, 1.0, -INF], "nyn", None, (1.0, 20)),
        ("perplexity", 1, 0.0, [INF, 90.0, 80.0], "nyy", 1, (80.0, 30)),
    ],
)  # fmt: skip
def test_sequences(metric: str, patience: int | None, min_delta: float, values: list[float], improved: str,
                   stopped: int | None, best: tuple[float, int], stopping: Callable) -> None:  # fmt: skip
    rule = stopping(metric=metric, patience=patience, min_delta=min_delta)
    found, at = follow(rule, values)
    assert "".join("ny"[i] for i in found) == improved
    assert at == stopped
    assert (rule.best, rule.best_step) == best


def test_state_round_trip(stopping: Callable) -> None:
    values = [3.0, 2.0, 2.5, 2.6, 1.0, 4.0]
    whole, _ = follow(stopping(patience=3), values)
    first, second = stopping(patience=3), stopping(patience=3)
    part, _ = follow(first, values[:3])
    second.restore(first.state())
    assert (second.best, second.best_step, second.without) == (2.0, 20, 1)
    rest, _ = follow(second, values[3:])
    assert part + rest == whole


def test_direction() -> None:
    assert [m for m in ("loss", "f1", "exact_match", "perplexity", "bits_per_byte", "accuracy") if lower_is_better(m)] \
        == ["loss", "perplexity", "bits_per_byte"]  # fmt: skip
