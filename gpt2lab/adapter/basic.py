"""The adapters that add nothing: `none` (evaluate only), `head` (frozen body), `full` (every weight)."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from gpt2lab.adapter import register
from gpt2lab.adapter.base import Adapted, head_parameters, total_parameters
from gpt2lab.errors import UserError
from gpt2lab.schema import knob


@dataclass
class BasicConfig:
    """Has nothing to set."""

    kind: str = knob()


def load_none(model: nn.Module, folder: Path) -> nn.Module:
    """The base itself."""
    return model


def load_head(model: nn.Module, folder: Path) -> nn.Module:
    """Copy a saved head into the model; UserError if it is another task's."""
    state = load_file(folder / "head.safetensors")
    _check(folder, state, dict(head_parameters(model)))
    model.load_state_dict(state, strict=False)
    return model


def load_full(model: nn.Module, folder: Path) -> nn.Module:
    """Copy a saved checkpoint (projections as stock GPT-2 keeps them, in x out) into the model."""
    from gpt2lab.model.linear import Linear

    state = load_file(folder / "model.safetensors")
    for name, module in model.named_modules():
        if isinstance(module, Linear) and (key := f"{name}.weight") in state:
            state[key] = state[key].t()
    _check(folder, state, dict(model.named_parameters()))  # a tied weight has one name here and there
    model.load_state_dict(state, strict=False)
    return model


def _check(folder: Path, state: dict[str, Tensor], parameters: dict[str, nn.Parameter]) -> None:
    """UserError unless names and shapes agree."""
    for name in sorted(state.keys() | parameters.keys()):
        there, here = (tuple(found[name].shape) if name in found else "none" for found in (state, parameters))
        if there != here:
            raise UserError(f"{folder}: does not fit this model: {name} is {there} there and {here} here")


@register("none", BasicConfig, trains=False, load=load_none)
def none(model: nn.Module, config: BasicConfig, objective: str) -> Adapted:
    """Nothing trains: the base is evaluated as it is."""
    return Adapted(model.requires_grad_(False), expected=0, save=lambda folder: None)


@register("head", BasicConfig, load=load_head)
def head(model: nn.Module, config: BasicConfig, objective: str) -> Adapted:
    """Only the task's head trains; its tensors are saved under their own names as `head.safetensors`."""
    model.requires_grad_(False)
    parameters = head_parameters(model)
    for parameter in parameters.values():
        parameter.requires_grad_(True)

    def save(folder: Path) -> None:
        save_file({k: v.detach().contiguous() for k, v in parameters.items()}, folder / "head.safetensors")
        text = json.dumps({"kind": "head", "parameters": sorted(parameters)}, indent=1)
        (folder / "head.json").write_text(text + "\n")

    return Adapted(model, expected=sum(p.numel() for p in parameters.values()), save=save)


@register("full", BasicConfig, load=load_full)
def full(model: nn.Module, config: BasicConfig, objective: str) -> Adapted:
    """Every weight trains; saved as a plain Hugging Face checkpoint that stock transformers loads."""
    from gpt2lab.model.linear import state_for_stock

    model.requires_grad_(True)

    def save(folder: Path) -> None:
        model.save_pretrained(  # type: ignore[operator]
            folder, state_dict=state_for_stock(model)
        )

    return Adapted(model, expected=total_parameters(model), save=save)
