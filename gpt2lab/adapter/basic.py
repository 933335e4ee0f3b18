"""The adapters that add nothing: `none` (evaluate only), `head` (frozen body), `full` (every weight)."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from safetensors.torch import save_file
from torch import nn

from gpt2lab.adapter import register
from gpt2lab.adapter.base import Adapted, head_parameters, total_parameters
from gpt2lab.schema import knob


@dataclass
class BasicConfig:
    """Has nothing to set."""

    kind: str = knob()


@register("none", BasicConfig, trains=False)
def none(model: nn.Module, config: BasicConfig, objective: str) -> Adapted:
    """Nothing trains: the base is evaluated as it is."""
    return Adapted(model.requires_grad_(False), expected=0, save=lambda folder: None)


@register("head", BasicConfig)
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


@register("full", BasicConfig)
def full(model: nn.Module, config: BasicConfig, objective: str) -> Adapted:
    """Every weight trains; saved as a plain Hugging Face checkpoint that stock transformers loads."""
    from gpt2lab.model.linear import state_for_stock

    model.requires_grad_(True)

    def save(folder: Path) -> None:
        model.save_pretrained(folder, state_dict=state_for_stock(model))

    return Adapted(model, expected=total_parameters(model), save=save)
