"""Checkpoints: whole or not at all, pruned, and never loaded into another adapter."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from gpt2lab.errors import UserError
from gpt2lab.train import checkpoint


def model(value: float = 1.0) -> nn.Module:
    net = nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 2))
    net[0].requires_grad_(False)
    with torch.no_grad():
        net[1].weight.fill_(value)
    return net


def value_in(folder: Path) -> float:
    net = model(0.0)
    checkpoint.restore(folder, net, None)
    return net[1].weight[0, 0].item()


def test_round_trip_of_weights_and_optimiser(tmp_path: Path) -> None:
    torch.manual_seed(0)
    nets = [model(), model(5.0)]
    optimizers = [torch.optim.AdamW([p for p in n.parameters() if p.requires_grad], lr=0.1, fused=True) for n in nets]

    def step(which: int) -> None:
        nets[which](torch.ones(1, 3)).square().sum().backward()
        optimizers[which].step()
        optimizers[which].zero_grad()

    nets[1][0].load_state_dict(nets[0][0].state_dict())  # the frozen part is the base's
    for _ in range(3):
        step(0)
    saved = checkpoint.save(tmp_path, "step-0000003", nets[0], optimizers[0], {"step": 3, "lr": 0.1 + 0.2})
    assert sorted(f.name for f in saved.iterdir()) == sorted(
        [checkpoint.OPTIMIZER, checkpoint.STATE, checkpoint.WEIGHTS]
    )
    state = checkpoint.restore(saved, nets[1], optimizers[1])
    assert (state["step"], state["lr"]) == (3, 0.1 + 0.2)  # floats to the bit
    for which in (0, 1):
        step(which)
    assert torch.equal(nets[0][1].weight, nets[1][1].weight)


@pytest.mark.parametrize("name", ["best", "step-0000005"])
@pytest.mark.parametrize("survived", [0, 1])
def test_a_kill_between_write_and_rename_loses_nothing(
    name: str, survived: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed at each rename of replacing an existing checkpoint: the old one is found whole again."""
    checkpoint.save(tmp_path, name, model(1.0), None, {"step": 1})
    replace, calls = os.replace, []

    def killing(*arguments: Any) -> None:
        if len(calls) == survived:
            raise KeyboardInterrupt
        calls.append(arguments)
        replace(*arguments)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(os, "replace", killing)
        checkpoint.save(tmp_path, name, model(2.0), None, {"step": 2})
    checkpoint.tidy(tmp_path)
    assert checkpoint.is_whole(tmp_path / name) and value_in(tmp_path / name) == 1.0
    assert [p.name for p in tmp_path.iterdir()] == [name]
    checkpoint.save(tmp_path, name, model(2.0), None, {"step": 2})
    assert value_in(tmp_path / name) == 2.0 and [p.name for p in tmp_path.iterdir()] == [name]


def test_a_first_write_that_was_killed_is_not_a_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def killing(*arguments: Any) -> None:
        raise KeyboardInterrupt

    checkpoint.save(tmp_path, "step-0000005", model(1.0), None, {"step": 5})
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(os, "replace", killing)
        checkpoint.save(tmp_path, "step-0000010", model(2.0), None, {"step": 10})
    assert checkpoint.newest(tmp_path) == tmp_path / "step-0000005"
    checkpoint.tidy(tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["step-0000005"]


@pytest.mark.parametrize("damage", ["truncated", "flipped", "missing", "no state", "torn state", "no sums"])
def test_a_damaged_checkpoint_is_passed_over(damage: str, tmp_path: Path) -> None:
    for step in (5, 10):
        checkpoint.save(tmp_path, checkpoint.step_name(step), model(step), None, {"step": step})
    weights, state = (tmp_path / "step-0000010" / n for n in (checkpoint.WEIGHTS, checkpoint.STATE))
    content = weights.read_bytes()
    if damage == "truncated":
        weights.write_bytes(content[:-4])
    elif damage == "flipped":
        weights.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    elif damage == "missing":
        weights.unlink()
    elif damage == "no state":
        state.unlink()
    elif damage == "torn state":
        state.write_text(state.read_text()[:-10])
    else:
        state.write_text(json.dumps({"step": 10}))
    assert checkpoint.newest(tmp_path) == tmp_path / "step-0000005"


def test_newest_of_none(tmp_path: Path) -> None:
    assert checkpoint.newest(tmp_path / "nowhere") is None
    checkpoint.tidy(tmp_path / "nowhere")


@pytest.mark.parametrize("keep", [1, 3])
def test_prune_keeps_the_newest_and_the_best(keep: int, tmp_path: Path) -> None:
    for step in (5, 90, 100, 1000, 12_000_000):  # by number, not by length of the name
        checkpoint.save(tmp_path, checkpoint.step_name(step), model(), None, {})
    checkpoint.save(tmp_path, "best", model(), None, {})
    checkpoint.prune(tmp_path, keep)
    names = [checkpoint.step_name(step) for step in (100, 1000, 12_000_000)][-keep:]
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted(["best", *names])


def test_a_foreign_adapter_is_refused(tmp_path: Path) -> None:
    net = model()
    good = checkpoint.trainable_state(net)
    assert set(good) == {"1.weight", "1.bias"}
    before = {k: v.clone() for k, v in good.items()}
    foreign = {
        "0.weight is only in one": {**good, "0.weight": torch.ones(4, 3)},
        "1.bias is only in one": {"1.weight": good["1.weight"]},
        r"1.weight is \(2, 8\) there and \(2, 4\) here": {**good, "1.weight": torch.full((2, 8), 9.0)},
        # rank 1 into rank 2: copy_ alone would spread it in silence
        r"1.weight is \(1, 4\) there and \(2, 4\) here": {**good, "1.weight": torch.full((1, 4), 9.0)},
    }
    for message, state in foreign.items():
        with pytest.raises(UserError, match=message):
            checkpoint.load_trainable(net, state)
    assert all(torch.equal(v, before[k]) for k, v in checkpoint.trainable_state(net).items())


def test_nothing_is_pickled(tmp_path: Path) -> None:
    net = model()
    optimizer = torch.optim.AdamW(net[1].parameters())
    saved = checkpoint.save(tmp_path, "best", net, optimizer, {})
    assert {f.suffix for f in saved.iterdir()} == {".safetensors", ".json"}
