"""Conv1D -> Linear -> Conv1D: the same function and gradients, the same bits back, no silence."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from transformers import GPT2Config, GPT2ForQuestionAnswering, GPT2LMHeadModel
from transformers.pytorch_utils import Conv1D

from gpt2lab.model.linear import Linear, convert, revert, state_for_stock

LAYERS = 3
IDS = torch.arange(24).reshape(2, 12) % 50


def stock(kind: type = GPT2LMHeadModel) -> nn.Module:
    torch.manual_seed(0)
    config = GPT2Config(
        vocab_size=50, n_layer=LAYERS, n_head=4, n_embd=32, n_positions=16, resid_pdrop=0.0, embd_pdrop=0.0,
        attn_pdrop=0.0, bos_token_id=0, eos_token_id=0,
    )  # fmt: skip
    model = kind(config)
    for parameter in model.parameters():  # the zero biases of a new model would hide a lost bias
        nn.init.normal_(parameter, std=0.1)
    return model.eval()


def gradients(model: nn.Module) -> dict[str, Tensor]:
    model(input_ids=IDS, labels=IDS).loss.backward()
    return {name: parameter.grad for name, parameter in model.named_parameters()}


def test_converted_model_computes_the_same_logits_and_gradients() -> None:
    reference, model = stock(), stock()
    assert convert(model) == 4 * LAYERS
    assert not any(isinstance(module, Conv1D) for module in model.modules())
    torch.testing.assert_close(model(IDS).logits, reference(IDS).logits, atol=1e-5, rtol=0)
    ours, theirs = gradients(model), gradients(reference)
    assert ours.keys() == theirs.keys()
    for name, gradient in ours.items():
        wanted = theirs[name]
        if isinstance(model.get_submodule(name.rpartition(".")[0]), Linear) and name.endswith("weight"):
            wanted = wanted.T  # (out, in)
        torch.testing.assert_close(gradient, wanted, atol=1e-5, rtol=0)


def test_124m_has_48_projections_and_124439808_parameters() -> None:
    with torch.device("meta"):
        model = GPT2LMHeadModel(GPT2Config())
    assert convert(model) == 48
    assert sum(isinstance(module, Linear) for module in model.modules()) == 48
    assert sum(parameter.numel() for parameter in model.parameters()) == 124_439_808


def test_there_and_back_is_bit_exact_and_keeps_the_flags() -> None:
    reference, model = stock(), stock()
    frozen = model.transformer.h[1].attn.c_proj
    frozen.weight.requires_grad_(False)
    convert(model)
    square = model.transformer.h[1].attn.c_proj
    assert square.weight.shape == (32, 32) and not square.weight.requires_grad and square.bias.requires_grad
    assert not torch.equal(square.weight, frozen.weight) and torch.equal(square.weight, frozen.weight.T)
    assert square.weight.is_contiguous() and not square.training
    assert revert(model) == 4 * LAYERS
    assert not model.transformer.h[1].attn.c_proj.weight.requires_grad
    assert model.state_dict().keys() == reference.state_dict().keys()
    for name, value in model.state_dict().items():
        assert torch.equal(value, reference.state_dict()[name]) and value.is_contiguous(), name
    assert torch.equal(model(IDS).logits, reference(IDS).logits)


def test_tied_head_stays_tied() -> None:
    model = stock()
    convert(model)
    assert model.lm_head.weight is model.transformer.wte.weight
    assert not isinstance(model.lm_head, Linear)
    revert(model)
    assert model.lm_head.weight is model.transformer.wte.weight


def test_state_for_stock_loads_into_stock_and_leaves_the_model_alone(tmp_path: Path) -> None:
    reference, model = stock(GPT2ForQuestionAnswering), stock(GPT2ForQuestionAnswering)
    convert(model)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    model.save_pretrained(tmp_path, state_dict=state_for_stock(model))
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    loaded = GPT2ForQuestionAnswering.from_pretrained(tmp_path).eval()
    assert torch.equal(loaded(IDS).start_logits, reference(IDS).start_logits)
    assert torch.equal(loaded(IDS).end_logits, reference(IDS).end_logits)


def test_the_converted_state_itself_would_load_wrongly() -> None:
    """Why `state_for_stock` exists: the square projection has no shape to complain about."""
    model, other = stock(), stock()
    convert(model)
    key = "transformer.h.0.attn.c_proj.weight"
    other.load_state_dict({**other.state_dict(), key: model.state_dict()[key]})
    assert not torch.allclose(other(IDS).logits, model(IDS).logits)
    other.load_state_dict(state_for_stock(model))
    torch.testing.assert_close(other(IDS).logits, model(IDS).logits, atol=1e-5, rtol=0)


def test_a_model_with_nothing_to_convert_is_an_error() -> None:
    with pytest.raises(ValueError, match=r"no transformers.*Conv1D"):
        convert(nn.Sequential(nn.Linear(2, 2)))
    model = stock()
    with pytest.raises(ValueError, match=r"no gpt2lab.*Linear"):
        revert(model)
    with pytest.raises(ValueError, match=r"no gpt2lab.*Linear"):
        state_for_stock(model)
    convert(model)
    with pytest.raises(ValueError, match=r"no transformers.*Conv1D"):
        convert(model)


def test_an_adapter_on_our_linear_merges_reverts_and_loads_onto_stock(tmp_path: Path) -> None:
    import peft

    def lora() -> peft.LoraConfig:
        return peft.LoraConfig(r=2, target_modules=["c_attn", "c_proj"], init_lora_weights=False)

    model = stock()
    convert(model)
    torch.manual_seed(1)
    wrapped = peft.get_peft_model(model, lora()).eval()
    logits = wrapped(IDS).logits.detach()
    assert not torch.allclose(logits, stock()(IDS).logits, atol=1e-3)
    for refused in (revert, state_for_stock):
        with pytest.raises(ValueError, match="PEFT wraps this layer"):
            refused(wrapped)
    wrapped.save_pretrained(tmp_path)
    onto_stock = peft.PeftModel.from_pretrained(stock(), tmp_path).eval()
    torch.testing.assert_close(onto_stock(IDS).logits, logits, atol=1e-5, rtol=0)
    with pytest.raises(ValueError, match="PEFT wraps this layer"):
        convert(onto_stock)
    merged = wrapped.merge_and_unload()
    alone = copy.deepcopy(stock())
    alone.load_state_dict(state_for_stock(merged))
    assert revert(merged) == 4 * LAYERS
    for result in (merged, alone):
        torch.testing.assert_close(result(IDS).logits, logits, atol=1e-5, rtol=0)
