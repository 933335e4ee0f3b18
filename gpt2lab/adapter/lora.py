"""LoRA (Hu et al. 2021, arXiv:2106.09685) through PEFT: W x + (alpha / r) B A x, with A (r, in) and B (out, r)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import nn

from gpt2lab import quiet
from gpt2lab.adapter import register
from gpt2lab.adapter.base import HEADS, Adapted, target_modules
from gpt2lab.schema import knob

TASK_TYPES = {"span": "QUESTION_ANS", "lm": "CAUSAL_LM", "classify": "SEQ_CLS"}


@dataclass
class LoraConfig:
    """Low-rank updates beside chosen projections; the task head trains too and is saved with them."""

    kind: str = knob()
    rank: int = knob(ge=1)
    """r, the update's rank"""
    alpha: float = knob(gt=0)
    """the update is scaled by alpha / rank"""
    dropout: float = knob(ge=0, lt=1)
    """probability, on the input of the update"""
    targets: Any = knob()
    """attention, attention+projection, all, or a list of module names"""


def load(model: nn.Module, folder: Path) -> nn.Module:
    """The model with a saved adapter on it."""
    quiet.transformers()
    import peft

    return peft.PeftModel.from_pretrained(model, folder)


@register("lora", LoraConfig, targets=True, load=load)
def lora(model: nn.Module, config: LoraConfig, objective: str) -> Adapted:
    """Wrap the model with PEFT's LoRA; it is saved as a plain PEFT adapter."""
    quiet.transformers()
    import peft

    names = target_modules(model, config.targets)
    modules = dict(model.named_modules())
    expected = sum(config.rank * (modules[n].in_features + modules[n].out_features) for n in names)  # type: ignore[operator]
    expected += sum(p.numel() for n, p in model.named_parameters() if n.split(".")[0] in HEADS)
    options = peft.LoraConfig(
        r=config.rank, lora_alpha=config.alpha, lora_dropout=config.dropout, target_modules=names,
        task_type=TASK_TYPES[objective],
    )  # fmt: skip
    wrapped = peft.get_peft_model(model, options)

    def save(folder: Path) -> None:
        wrapped.save_pretrained(folder, safe_serialization=True)

    return Adapted(wrapped, expected, save, {"adapter/scale": config.alpha / config.rank})
