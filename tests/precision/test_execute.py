"""A phase's context really changes what a layer computes in."""

from __future__ import annotations

import pytest
import torch

from gpt2lab.errors import UserError
from gpt2lab.model.linear import Linear
from gpt2lab.precision import execute


@pytest.mark.parametrize(("precision", "dtype"), [("fp32", torch.float32), ("bf16", torch.bfloat16)])
def test_a_linear_computes_in_the_precision_of_the_phase(precision: str, dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    layer, inputs = Linear(16, 8), torch.randn(4, 16)
    with execute.context(precision, "cpu"):
        out = layer(inputs)
        logits = out.float().log_softmax(-1)
    assert out.dtype == dtype and logits.dtype == torch.float32
    expected = torch.nn.functional.linear(inputs.to(dtype), layer.weight.to(dtype), layer.bias.to(dtype))
    assert torch.equal(out, expected)
    out.float().sum().backward()
    assert layer.weight.dtype == layer.weight.grad.dtype == torch.float32, "weights and gradients stay fp32"
    assert layer(inputs).dtype == torch.float32, "the context ends"
    assert execute.executed(precision) == precision


def test_what_cannot_be_executed() -> None:
    with pytest.raises(UserError, match="precision=fp17: cannot be executed; valid: fp32, bf16"):
        execute.context("fp17", "cpu")
    with pytest.raises(UserError, match="precision=auto"):
        execute.executed("auto")  # must have been resolved before
