"""A run that is killed and continued is the run that went straight through, to the bit."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from gpt2lab import adapter
from gpt2lab.adapter.lora import LoraConfig
from gpt2lab.errors import UserError
from gpt2lab.train import checkpoint

STEPS = 12
Make = Callable[[str, int], Any]


class Killed(Exception):
    pass


def lora(case: Any) -> nn.Module:
    model = case.model(dropout=0.1)
    torch.manual_seed(7)
    config = LoraConfig("lora", rank=2, alpha=4, dropout=0.1, targets="attention+projection")
    return adapter.kinds.get("lora").build(model, config, "span").model


def train(case: Any, folder: Path, rule: Any, kill_after: int | None = None) -> tuple[dict, dict, list[int]]:
    """(best weights that the run leaves, weights after the last step, steps that were run now)."""
    model, last, ran = lora(case), {}, []
    held_out = case.batch([0, 1, 2])

    def validate() -> dict[str, float]:
        model.eval()
        with torch.no_grad():
            value = case.task.loss(model, held_out).item()
        model.train()
        return {"loss": value}

    def report(row: dict) -> None:
        ran.append(row["step"])
        last.update({k: v.clone() for k, v in checkpoint.trainable_state(model).items()})
        if row["step"] == kill_after:
            raise Killed

    # 13 features, 2 x 2 a step: 4 steps an epoch, so 5 and 7 lie inside one
    case.run(folder, model, steps=STEPS, every=3, checkpoint=5, accumulation_steps=2, warmup=0.2, lr=0.05,
             stopping=rule, validate=validate, report=report)  # fmt: skip
    return checkpoint.trainable_state(model), last, ran


def equal(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[k], b[k]) for k in a)


def rows(folder: Path) -> list[dict]:
    found = [json.loads(line) for line in (folder / "history.jsonl").read_text().splitlines()]
    return [{k: v for k, v in row.items() if k != "seconds"} for row in found]


@pytest.mark.parametrize(
    ("kills", "damage", "began"),
    [([7], None, 6), ([4], None, 1), ([11], "step-0000010", 6), ([7, 11], None, 11)],
    ids=["after step 7", "before the first checkpoint", "newest checkpoint damaged", "twice"],
)
def test_killed_and_continued(
    kills: list[int], damage: str | None, began: int, make_case: Make, stopping: Callable, tmp_path: Path
) -> None:
    case = make_case("span", 13)
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    best, last, ran = train(case, whole, stopping())
    assert ran == list(range(1, STEPS + 1))
    assert not equal(best, last), "the best weights are not the last ones, or this test shows less than it says"
    for step in kills:
        with pytest.raises(Killed):
            train(case, killed, stopping(), kill_after=step)
    if damage:
        file = killed / "checkpoints" / damage / checkpoint.WEIGHTS
        content = bytearray(file.read_bytes())
        content[-5] ^= 1
        file.write_bytes(content)
    rule = stopping()
    best_again, last_again, ran_again = train(case, killed, rule)
    assert ran_again == list(range(began, STEPS + 1))
    assert equal(best_again, best) and equal(last_again, last)
    assert [r["step"] for r in rows(killed)] == list(range(1, STEPS + 1))
    assert rows(killed) == rows(whole)  # loss, norm, rate and validations of every step
    assert sorted(p.name for p in (killed / "checkpoints").iterdir()) == ["best", "step-0000010", "step-0000012"]


def test_a_run_whose_best_weights_are_damaged_says_so(make_case: Make, stopping: Callable, tmp_path: Path) -> None:
    case = make_case("span", 13)
    with pytest.raises(Killed):
        train(case, tmp_path / "run", stopping(), kill_after=7)
    (tmp_path / "run" / "checkpoints" / "best" / checkpoint.WEIGHTS).write_bytes(b"x")
    with pytest.raises(UserError, match=r"best weights so far are damaged or gone.*rerun=true"):
        train(case, tmp_path / "run", stopping())


def test_another_adapter_does_not_take_up_the_checkpoint(make_case: Make, stopping: Callable, tmp_path: Path) -> None:
    case = make_case("span", 13)
    with pytest.raises(Killed):
        train(case, tmp_path / "run", stopping(), kill_after=7)
    with pytest.raises(UserError, match="does not fit this run's adapter"):
        case.run(tmp_path / "run", steps=STEPS)
