"""What applying an adapter gives, and which projections a target means."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import nn

from gpt2lab.errors import UserError
from gpt2lab.schema import nearest

HEADS = ("qa_outputs", "score")  # task heads of transformers' GPT-2 classes; lm_head is tied to the embedding
PRESETS = {
    "attention": ["attn.c_attn"],
    "attention+projection": ["attn.c_attn", "attn.c_proj", "mlp.c_proj"],
    "all": ["attn.c_attn", "attn.c_proj", "mlp.c_fc", "mlp.c_proj"],
}


@dataclass(frozen=True)
class Adapted:
    """A model whose trainable parts are chosen."""

    model: nn.Module
    expected: int
    """trainable parameters by the adapter's formula; the pipeline asserts the model agrees"""
    save: Callable[[Path], None]
    """writes the adapter into an existing, empty folder"""
    details: dict[str, float] | None = None
    """figures of the adapter for metrics.json, e.g. LoRA's scale"""


def head_parameters(model: nn.Module) -> dict[str, nn.Parameter]:
    """The task head's tensors by name; UserError if the model has none of its own (a tied language-model head)."""
    found = {n: p for n, p in model.named_parameters() if n.split(".")[0] in HEADS}
    if not found:
        raise UserError("adapter=head: this task's model has no head of its own (its output is tied to the "
                        "embedding); use adapter=lora or adapter=full")  # fmt: skip
    return found


def total_parameters(model: nn.Module) -> int:
    """All parameters, tied ones once; PEFT's untrained copy of a saved head does not count."""
    return sum(p.numel() for n, p in model.named_parameters() if ".original_module." not in n)


def trainable_parameters(model: nn.Module) -> int:
    """Parameters that receive gradients, tied ones once."""
    return sum(p.numel() for p in model.parameters() if p.requires_grad)


def target_modules(model: nn.Module, targets: Any) -> list[str]:
    """Full names of the projections that `targets` means, in the model's order.

    `targets` is a preset (`attention`, `attention+projection`, `all`) or a list of names; a name matches whole
    dotted parts anywhere in a module's name (`c_proj` matches both projections, `h.1` not `h.10`).
    UserError for an entry that matches nothing.
    """
    from gpt2lab.model.linear import Linear

    names = [name for name, module in model.named_modules() if isinstance(module, Linear)]
    listed = [targets] if isinstance(targets, str) else list(targets)  # one name may be typed without brackets
    entries = [entry for target in listed for entry in PRESETS.get(target, [target])]
    chosen: set[str] = set()
    for entry in entries:
        matched = [name for name in names if f".{entry}." in f".{name}."]
        if not matched:
            parts = sorted({".".join(name.split(".")[-2:]) for name in names})
            valid = [*PRESETS, *parts, *sorted({p.split(".")[-1] for p in parts})]
            raise UserError(f"targets={entry}: matches no projection; {nearest(str(entry), valid)}"
                            f"valid: {', '.join(PRESETS)}, or a list of {', '.join(parts)}")  # fmt: skip
        chosen.update(matched)
    return [name for name in names if name in chosen]
