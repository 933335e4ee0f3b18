"""No quantization: the frozen base keeps its precision."""

from __future__ import annotations

from dataclasses import dataclass

from torch import nn

from gpt2lab.quantization import register
from gpt2lab.schema import knob


@dataclass
class NoneConfig:
    """The base is stored as it was loaded, in fp32."""

    kind: str = knob()


@register("none", NoneConfig)
def apply(model: nn.Module, config: NoneConfig) -> nn.Module:
    """The model, unchanged."""
    return model
