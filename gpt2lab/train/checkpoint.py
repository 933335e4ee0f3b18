"""Checkpoints: trainable weights and optimiser state, written beside and renamed, with checksums. No pickle."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import nn

from gpt2lab.errors import UserError
from gpt2lab.schema import knob

BEST = "best"
WEIGHTS, OPTIMIZER, STATE = "trainable.safetensors", "optimizer.safetensors", "state.json"


@dataclass
class CheckpointConfig:
    """How often training state is saved. The best and the last `keep` are kept."""

    every: int | None = knob(ge=1)
    """optimiser steps; null: only the best"""
    keep: int = knob(ge=1)
    """newest checkpoints kept"""


def trainable_state(model: nn.Module) -> dict[str, torch.Tensor]:
    """The trainable tensors by name, detached and on the CPU."""
    return {n: p.detach().cpu().contiguous() for n, p in model.named_parameters() if p.requires_grad}


def load_trainable(model: nn.Module, state: dict[str, torch.Tensor]) -> None:
    """Copy tensors into the model's trainable parameters; UserError unless names and shapes agree exactly."""
    parameters = {n: p for n, p in model.named_parameters() if p.requires_grad}
    if parameters.keys() != state.keys():
        odd = sorted(parameters.keys() ^ state.keys())[0]
        raise UserError(f"checkpoint does not fit this run's adapter: {odd} is only in one of them")
    for name, parameter in parameters.items():  # copy_ would spread a smaller tensor over a larger one
        if parameter.shape != state[name].shape:
            raise UserError(f"checkpoint does not fit this run's adapter: {name} is {tuple(state[name].shape)} there "
                            f"and {tuple(parameter.shape)} here")  # fmt: skip
    with torch.no_grad():
        for name, parameter in parameters.items():
            parameter.copy_(state[name])


def save(
    folder: Path, name: str, model: nn.Module, optimizer: torch.optim.Optimizer | None, state: dict[str, Any]
) -> Path:
    """Write `folder/name` whole or not at all: into a temporary sibling first, then renamed."""
    target, temporary = folder / name, folder / f".{name}.partial"
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)
    save_file(trainable_state(model), temporary / WEIGHTS)
    if optimizer is not None:
        tensors, scalars = _flatten(optimizer.state_dict())
        save_file(tensors, temporary / OPTIMIZER)
        state = {**state, "optimizer": scalars}
    state = {**state, "sha256": {f.name: _sha256(f) for f in sorted(temporary.iterdir())}}
    (temporary / STATE).write_text(json.dumps(state, indent=1), encoding="utf-8")
    for path in (*temporary.iterdir(), temporary):
        _sync(path)
    old = folder / f".{name}.old"
    if target.exists():  # a folder that is not empty cannot be replaced in one call; `tidy` mends a stop in between
        shutil.rmtree(old, ignore_errors=True)
        os.replace(target, old)
    os.replace(temporary, target)
    _sync(folder)
    shutil.rmtree(old, ignore_errors=True)
    return target


def tidy(folder: Path) -> None:
    """After a kill: put back a checkpoint that was being replaced, delete what was being written."""
    for old in folder.glob(".*.old"):
        target = folder / old.name[1:].removesuffix(".old")
        if target.exists():
            shutil.rmtree(old)
        else:
            os.replace(old, target)
    for partial in folder.glob(".*.partial"):
        shutil.rmtree(partial)


def step_name(step: int) -> str:
    """Folder name of the checkpoint after `step` optimiser steps."""
    return f"step-{step:07d}"


def newest(folder: Path) -> Path | None:
    """The newest whole step checkpoint, checksums verified; broken ones are passed over."""
    return next((p for p in sorted(folder.glob("step-*"), reverse=True) if is_whole(p)), None)


def is_whole(checkpoint: Path) -> bool:
    """All files are there and have their recorded checksums."""
    try:
        sums = json.loads((checkpoint / STATE).read_text(encoding="utf-8"))["sha256"]
        return bool(sums) and all(_sha256(checkpoint / name) == value for name, value in sums.items())
    except (OSError, ValueError, KeyError, TypeError):
        return False


def restore(checkpoint: Path, model: nn.Module, optimizer: torch.optim.Optimizer | None) -> dict[str, Any]:
    """Load weights (and optimiser state) and return the saved state."""
    state = json.loads((checkpoint / STATE).read_text(encoding="utf-8"))
    load_trainable(model, load_file(checkpoint / WEIGHTS))
    if optimizer is not None:
        optimizer.load_state_dict(_unflatten(load_file(checkpoint / OPTIMIZER), state["optimizer"]))
    return state


def prune(folder: Path, keep: int) -> None:
    """Delete all but the newest `keep` step checkpoints; the best one has a name of its own and stays."""
    for old in sorted(folder.glob("step-*"))[:-keep]:
        shutil.rmtree(old)


def _flatten(state: dict[str, Any]) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    """An optimiser's state dict as named tensors and JSON."""
    tensors = {f"{i}.{k}": v.contiguous() for i, moments in state["state"].items() for k, v in moments.items()}
    return tensors, {"param_groups": state["param_groups"]}


def _unflatten(tensors: dict[str, torch.Tensor], scalars: dict[str, Any]) -> dict[str, Any]:
    state: dict[int, dict[str, torch.Tensor]] = {}
    for key, tensor in tensors.items():
        index, name = key.split(".", 1)
        state.setdefault(int(index), {})[name] = tensor
    return {"state": state, **scalars}


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _sync(path: Path) -> None:
    """Have a file's bytes, or a folder's names, on the disk before going on."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
