"""A freshly loaded base: stock GPT-2's numbers, fp32, seeded, quiet, and shared with nothing."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from transformers import GPT2ForQuestionAnswering, GPT2LMHeadModel
from transformers.pytorch_utils import Conv1D

from gpt2lab.errors import UserError
from gpt2lab.model.base import Base, Init, ModelConfig, load, resolve, skeleton
from gpt2lab.model.linear import Linear, revert
from gpt2lab.model.tokenizer import train_bpe

ROOT = Path(__file__).parents[2]
IDS = torch.arange(1, 21).reshape(2, 10)
VOCABULARY = 260  # of the checkpoint fixture

pytestmark = pytest.mark.usefixtures("nothing_cached")


def mini(**values: object) -> tuple[Base, ModelConfig]:
    config = ModelConfig(name="mini", **values)  # type: ignore[arg-type]
    return resolve(config), config


def test_loaded_model_computes_what_stock_computes(checkpoint: Path) -> None:
    model = load(*mini(), "lm", seed=0)
    reference = GPT2LMHeadModel.from_pretrained(checkpoint).eval()
    torch.testing.assert_close(model(IDS).logits, reference(IDS).logits, atol=1e-5, rtol=1e-5)
    assert reference(IDS).logits.abs().max() > 1  # else the tolerance would mean nothing
    assert sum(isinstance(layer, Linear) for layer in model.modules()) == 8
    assert not any(isinstance(layer, Conv1D) for layer in model.modules())
    assert model.lm_head.weight is model.transformer.wte.weight and not model.training


def test_fused_gelu_is_gelu_new() -> None:
    from transformers.activations import NewGELUActivation

    x = torch.linspace(-12, 12, 20_001)
    fused = torch.nn.GELU(approximate="tanh")(x)
    torch.testing.assert_close(fused, NewGELUActivation()(x), atol=1e-6, rtol=1e-6)
    model = load(*mini(), "lm", seed=0)
    assert not any(isinstance(layer, NewGELUActivation) for layer in model.modules())
    assert model.config.activation_function == "gelu_new"  # what is saved says what stock GPT-2 is


def test_a_span_head_is_new_seeded_and_leaves_the_global_random_state_alone() -> None:
    torch.manual_seed(5)
    before = torch.get_rng_state()
    first, again, other = (load(*mini(), "span", seed=seed) for seed in (1, 1, 2))
    assert torch.equal(torch.get_rng_state(), before)
    assert isinstance(first, GPT2ForQuestionAnswering)
    assert torch.equal(first.qa_outputs.weight, again.qa_outputs.weight)
    assert not torch.equal(first.qa_outputs.weight, other.qa_outputs.weight)
    assert torch.equal(first.transformer.wte.weight, other.transformer.wte.weight)
    assert sum(parameter.numel() for parameter in first.qa_outputs.parameters()) == 2 * 16 + 2


def test_two_loads_share_nothing() -> None:
    first, second = (load(*mini(), "lm", seed=0) for _ in range(2))
    kept = second.transformer.h[0].attn.c_attn.weight.clone()
    with torch.no_grad():
        for parameter in first.parameters():
            parameter.zero_()
    assert torch.equal(second.transformer.h[0].attn.c_attn.weight, kept) and kept.abs().sum() > 0


def test_a_classifier_has_the_number_of_labels_asked_for() -> None:
    model = load(*mini(), "classify", seed=0, num_labels=5)
    assert model(IDS).logits.shape == (2, 5)  # a batch needs the pad token to be known
    assert model.config.pad_token_id == 0


def test_half_precision_on_disk_is_fp32_in_memory(checkpoint: Path, tmp_path: Path) -> None:
    for dtype in (torch.float16, torch.bfloat16):
        folder = tmp_path / str(dtype)
        GPT2LMHeadModel.from_pretrained(checkpoint, dtype=dtype).save_pretrained(folder)
        config = ModelConfig(path=str(folder), tokenizer=str(checkpoint))
        model = load(resolve(config), config, "span", seed=0)
        assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}
        assert torch.equal(model.transformer.wte.weight, model.transformer.wte.weight.to(dtype).float())


def test_dropout_is_the_configs_and_not_the_checkpoints() -> None:
    model = load(*mini(dropout=0.25), "lm", seed=0)
    rates = {layer.p for layer in model.modules() if isinstance(layer, torch.nn.Dropout)}
    assert rates == {0.25} and model.config.attn_pdrop == 0.25


def test_random_weights_have_the_asked_architecture_and_follow_the_seed(checkpoint: Path) -> None:
    numbers = {"n_layer": 3, "n_head": 4, "n_embd": 32, "n_positions": 24}
    config = ModelConfig(name="gpt2", init=Init.random, tokenizer=str(checkpoint), **numbers)  # type: ignore[arg-type]
    base = resolve(config)
    first, again, other = (load(base, config, "lm", seed=seed) for seed in (1, 1, 2))
    per_block = 12 * 32**2 + 13 * 32  # GPT-2's formula: 4 projections, 2 layer norms
    count = VOCABULARY * 32 + 24 * 32 + 3 * per_block + 2 * 32
    assert sum(parameter.numel() for parameter in first.parameters()) == count
    assert first.config.n_head == 4
    wanted, same, different = (model.transformer.h[2].mlp.c_fc.weight for model in (first, again, other))
    assert torch.equal(wanted, same) and not torch.equal(wanted, different)
    assert wanted.std().item() == pytest.approx(0.02, rel=0.1)


def test_random_mini_has_minis_shape_and_not_its_weights() -> None:
    trained, fresh = load(*mini(), "lm", seed=0), load(*mini(init=Init.random), "lm", seed=0)
    assert {n: p.shape for n, p in fresh.named_parameters()} == {n: p.shape for n, p in trained.named_parameters()}
    assert not torch.allclose(fresh.transformer.wte.weight, trained.transformer.wte.weight)


def test_heads_must_divide_the_width(checkpoint: Path) -> None:
    config = ModelConfig(name="gpt2", init=Init.random, tokenizer=str(checkpoint), n_embd=32, n_head=5, n_layer=1)
    with pytest.raises(UserError, match="n_head=5 does not divide n_embd=32"):
        load(resolve(config), config, "lm", seed=0)


def changed(checkpoint: Path, folder: Path, change: object) -> ModelConfig:
    """A copy of the checkpoint whose tensors went through `change(dict) -> None`."""
    from safetensors.torch import load_file, save_file

    folder.mkdir()
    for file in checkpoint.iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    tensors = load_file(folder / "model.safetensors")
    change(tensors)  # type: ignore[operator]
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    return ModelConfig(path=str(folder))


LOST = "transformer.h.1.mlp.c_fc.weight"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda tensors: tensors.pop(LOST), f"1 weights are missing in .*{LOST}"),
        (
            lambda tensors: tensors.update({LOST: torch.zeros(16, 60)}),
            r"c_fc.weight is \(16, 60\).*\(16, 64\)",
        ),
        (lambda tensors: tensors.update({"transformer.h.2.ln_1.weight": torch.zeros(16)}), "have no place"),
    ],
)
def test_weights_that_do_not_fit_are_an_error(change: object, message: str, checkpoint: Path, tmp_path: Path) -> None:
    config = changed(checkpoint, tmp_path / "changed", change)
    with pytest.raises(UserError, match=message):
        load(resolve(config), config, "lm", seed=0)


def test_old_checkpoints_without_prefix_and_with_causal_masks_load(checkpoint: Path, tmp_path: Path) -> None:
    def old(tensors: dict[str, torch.Tensor]) -> None:
        for key in list(tensors):
            tensors[key.removeprefix("transformer.")] = tensors.pop(key)
        tensors["h.0.attn.bias"] = torch.ones(1, 1, 32, 32)
        tensors["h.0.attn.masked_bias"] = torch.tensor(-1e4)

    config = changed(checkpoint, tmp_path / "old", old)
    model = load(resolve(config), config, "lm", seed=0)
    torch.testing.assert_close(model(IDS).logits, load(*mini(), "lm", seed=0)(IDS).logits)


def test_a_tokenizer_larger_than_the_model_is_an_error(tmp_path: Path) -> None:
    train_bpe(iter(["the seven old towns of the river"] * 9), VOCABULARY + 5, tmp_path / "larger")
    with pytest.raises(UserError, match=f"has {VOCABULARY + 5} tokens, mini knows {VOCABULARY}"):
        load(*mini(tokenizer=str(tmp_path / "larger")), "lm", seed=0)


def test_a_reverted_model_saves_what_stock_loads(tmp_path: Path) -> None:
    model = load(*mini(), "span", seed=0)
    logits = model(IDS).start_logits
    revert(model)
    model.save_pretrained(tmp_path)
    stock = GPT2ForQuestionAnswering.from_pretrained(tmp_path).eval()
    torch.testing.assert_close(stock(IDS).start_logits, logits, atol=1e-5, rtol=1e-5)


def test_resolving_imports_no_torch_and_loading_prints_nothing(checkpoint: Path) -> None:
    code = (
        "import sys\n"
        "from gpt2lab.model.base import ModelConfig, load, resolve\n"
        f"config = ModelConfig(path={str(checkpoint)!r})\n"
        "base = resolve(config)\n"
        "assert not {'torch', 'transformers'} & set(sys.modules), 'imported too early'\n"
        "import torch\n"
        "for objective in ('span', 'lm', 'classify'):\n"
        "    model = load(base, config, objective, 0)\n"
        "    model(input_ids=torch.ones(2, 4, dtype=torch.long))\n"
        "model = load(base, config, 'lm', 0)\n"
        "model.generate(torch.ones(1, 4, dtype=torch.long), max_new_tokens=2, do_sample=False)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize("objective", ["span", "lm", "classify"])
def test_a_skeleton_has_the_names_and_shapes_of_what_is_loaded_and_no_weights(objective: str) -> None:
    outline, model = skeleton(*mini(), objective), load(*mini(), objective, seed=0)
    assert all(parameter.is_meta for parameter in outline.parameters())
    assert {n: p.shape for n, p in outline.named_parameters()} == {n: p.shape for n, p in model.named_parameters()}
    assert sum(isinstance(layer, Linear) for layer in outline.modules()) == 8
