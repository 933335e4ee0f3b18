"""GPT-2's `Conv1D` projections as linear layers of our own, and back.

transformers keeps GPT-2's projections as `Conv1D`, a linear layer with a transposed weight (in x out).
Code that looks for `nn.Linear` misses all 48 of them in silence, so a model is converted once, on loading.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, TypeVar

import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from transformers.pytorch_utils import Conv1D

Layer = TypeVar("Layer", bound=nn.Module)


class Linear(nn.Linear):
    """`y = x W^T + b`, x (..., in), W (out, in), b (out): `nn.Linear` under a name of our own.

    A projection of GPT-2 that `convert` made; that it was one is what `revert` needs to know, and what
    tells it from the head. The precision of a step is decided in its `forward`.
    """

    def forward(self, input: Tensor) -> Tensor:
        """(..., in) -> (..., out)."""
        return nn.functional.linear(input, self.weight, self.bias)  # (..., out)


def convert(model: nn.Module) -> int:
    """Replace every `Conv1D` in `model`, in place, by a `Linear` that computes the same; how many.

    GPT-2 of n layers has 4 n of them: 48 on 124M. A tied `lm_head` is not a Conv1D and stays tied.
    Convert before an optimiser or an adapter takes hold of the parameters: they are new objects.

    Raises:
        ValueError: no Conv1D in the model, or one that PEFT has wrapped already (PEFT has noted its
            orientation, so merging would transpose in silence).
    """
    from transformers.pytorch_utils import Conv1D

    return _swap(model, Conv1D, _to_linear)


def revert(model: nn.Module) -> int:
    """Put `Conv1D` back for every `Linear` of ours, in place; how many. The exact inverse of `convert`.

    Needed before `save_pretrained`: saved as converted, the square `attn.c_proj` would load transposed
    into stock GPT-2 in silence. An adapter must be merged or unloaded first.

    Raises:
        ValueError: no `Linear` of ours in the model, or one that PEFT still wraps.
    """
    return _swap(model, Linear, _to_conv1d)


def state_for_stock(model: nn.Module) -> dict[str, Tensor]:
    """`model.state_dict()` as stock GPT-2 loads it: projection weights (in, out); `model` is untouched.

    For `save_pretrained(folder, state_dict=...)` in the middle of a run. Weights that are not projections
    are the live tensors, not copies. Works on a model without adapters, as `revert` does.

    Raises:
        ValueError: no `Linear` of ours in the model, or one that PEFT still wraps.
    """
    state = model.state_dict()
    for _, _, path in _places(model, Linear):
        key = f"{path}.weight"
        state[key] = state[key].t().contiguous()  # (in, out)
    return state


def _swap(model: nn.Module, old: type[nn.Module], new: Callable[[Any], nn.Module]) -> int:
    places = list(_places(model, old))
    for parent, name, _ in places:
        setattr(parent, name, new(getattr(parent, name)))
    return len(places)


def _places(model: nn.Module, kind: type[nn.Module]) -> Iterator[tuple[nn.Module, str, str]]:
    """(parent, attribute, dotted path) of every module of exactly this kind; at least one or ValueError."""
    paths = [path for path, module in model.named_modules() if type(module) is kind]
    if not paths:
        raise ValueError(f"{type(model).__name__} has no {kind.__module__}.{kind.__name__} to convert")
    for path in paths:
        parent, _, name = path.rpartition(".")
        if name == "base_layer":
            raise ValueError(f"{path}: PEFT wraps this layer; convert before an adapter, revert after unloading it")
    for path in paths:
        parent, _, name = path.rpartition(".")
        yield model.get_submodule(parent), name, path


def _to_linear(conv: Conv1D) -> Linear:
    inputs, outputs = conv.weight.shape
    layer = Linear(inputs, outputs, device="meta")  # no memory, no random numbers drawn
    return _fill(layer, conv)


def _to_conv1d(layer: Linear) -> Conv1D:
    from transformers.pytorch_utils import Conv1D

    with torch.device("meta"):
        conv = Conv1D(layer.out_features, layer.in_features)
    return _fill(conv, layer)


def _fill(target: Layer, source: nn.Module) -> Layer:
    """Give `target` the weight of `source`, transposed, and its bias; keep mode and requires_grad."""
    weight, bias = source.get_parameter("weight"), source.get_parameter("bias")
    transposed = weight.detach().t().contiguous()
    target.weight = nn.Parameter(transposed, requires_grad=weight.requires_grad)
    target.bias = nn.Parameter(bias.detach(), requires_grad=bias.requires_grad)
    return target.train(source.training)
