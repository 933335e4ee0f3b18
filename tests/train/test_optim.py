"""Learning rate against transformers' schedules; weight decay on matrices alone."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from gpt2lab.train.optim import Decay, TrainConfig, build, lr_factor

KNOBS: dict[str, Any] = {"epochs": 1, "max_steps": None, "batch_size": 2, "accumulation_steps": 1,
                         "schedule": Decay.linear, "warmup": 0.0, "weight_decay": 0.1, "clip": None,
                         "grad_norms": False}  # fmt: skip


@pytest.mark.parametrize("decay", list(Decay))
@pytest.mark.parametrize(("steps", "warmup", "warm"), [(50, 0.06, 3), (7, 0.5, 4), (10, 0.0, 0), (1, 0.06, 1)])
def test_lr_is_transformers_schedule_one_step_ahead(decay: Decay, steps: int, warmup: float, warm: int) -> None:
    """Theirs spends its first step at a rate of 0. Ours at s is theirs at s + 1, of one more step and warm-up step."""
    import transformers

    optimizer = torch.optim.SGD([nn.Parameter(torch.ones(()))], lr=1.0)
    if decay is Decay.constant:
        theirs = transformers.get_constant_schedule_with_warmup(optimizer, warm + 1)
    else:
        make = getattr(transformers, f"get_{decay.name}_schedule_with_warmup")
        theirs = make(optimizer, warm + 1, steps + 1)
    expected = []
    for _ in range(steps):
        optimizer.step()
        theirs.step()
        expected.append(theirs.get_last_lr()[0])
    ours = [lr_factor(step, steps, warmup, decay) for step in range(steps)]
    assert ours == pytest.approx(expected, abs=1e-12)
    assert min(ours) > 0, "no step is wasted at a rate of 0"


def test_scheduler_follows_lr_factor() -> None:
    optimizer, scheduler = build(nn.Linear(2, 2), TrainConfig(lr=0.5, **(KNOBS | {"warmup": 0.2})), 10)
    seen = []
    for _ in range(10):
        seen.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    assert seen == pytest.approx([0.5 * lr_factor(s, 10, 0.2, Decay.linear) for s in range(10)])


def test_vectors_do_not_decay_and_frozen_weights_are_left_out() -> None:
    model = nn.Sequential(nn.Embedding(5, 4), nn.Linear(4, 4), nn.LayerNorm(4), nn.Linear(4, 4))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.fill_(2.0)
    model[3].requires_grad_(False)
    optimizer, _ = build(model, TrainConfig(lr=0.5, **KNOBS), 10)
    for parameter in model.parameters():
        parameter.grad = torch.zeros_like(parameter)
    optimizer.step()
    shrunk = 2.0 * (1 - 0.5 * 0.1)  # decoupled: lr * decay of the weight itself
    found = {name: parameter.unique().item() for name, parameter in model.named_parameters()}
    assert found == pytest.approx({
        "0.weight": shrunk, "1.weight": shrunk, "1.bias": 2.0, "2.weight": 2.0, "2.bias": 2.0,
        "3.weight": 2.0, "3.bias": 2.0,
    })  # fmt: skip
    assert sum(len(g["params"]) for g in optimizer.param_groups) == 5
