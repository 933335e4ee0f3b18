"""Which base a config means (with the hub away, cached or answering), and what a freshly loaded one is."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from omegaconf import OmegaConf
from transformers import GPT2Config, GPT2ForQuestionAnswering, GPT2LMHeadModel
from transformers.pytorch_utils import Conv1D

from gpt2lab.errors import UserError
from gpt2lab.model import base as module
from gpt2lab.model.base import Base, Fallback, Init, ModelConfig, load, resolve
from gpt2lab.model.linear import Linear, revert
from gpt2lab.model.tokenizer import fingerprint, train_bpe

ROOT = Path(__file__).parents[2]
IDS = torch.arange(1, 21).reshape(2, 10)
VOCABULARY = 260


def away(name: str, revision: str | None) -> str:
    return "unplugged"


def never(name: str, revision: str | None) -> str:
    raise AssertionError("nothing is to be asked of the network here")


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny GPT-2 with its LM head and its tokenizer, as stock transformers saves one."""
    folder = tmp_path_factory.mktemp("base") / "tiny"
    train_bpe(iter(["the seven old towns of the river"] * 9), VOCABULARY, folder)
    save(GPT2LMHeadModel, folder)
    return folder


def save(kind: type, folder: Path, dtype: torch.dtype = torch.float32) -> None:
    torch.manual_seed(3)
    numbers = {"n_layer": 2, "n_head": 2, "n_embd": 16, "n_positions": 32, "vocab_size": VOCABULARY}
    model = kind(GPT2Config(**numbers, bos_token_id=0, eos_token_id=0, initializer_range=0.3))
    model.to(dtype).save_pretrained(folder)


@pytest.fixture(autouse=True)
def nothing_cached(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, checkpoint: Path) -> Path:
    """An empty hub cache, and the tiny checkpoint in the place of the bundled one."""
    cache = tmp_path / "cache"
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(cache))
    monkeypatch.setattr(module, "MINI", checkpoint)
    return cache


def put_in_cache(cache: Path, repository: str, source: Path, skip: str = "") -> Path:
    """What huggingface_hub leaves behind: refs/main names the commit, snapshots/<commit> holds the files."""
    commit = "0123456789abcdef0123456789abcdef01234567"
    root = cache / f"models--{repository.replace('/', '--')}"
    snapshot = root / "snapshots" / commit
    snapshot.mkdir(parents=True)
    (root / "refs").mkdir()
    (root / "refs" / "main").write_text(commit)
    for file in source.iterdir():
        if file.name != skip:
            (snapshot / file.name).write_bytes(file.read_bytes())
    return snapshot


# --- the YAML files ---


def test_yaml_files_hold_exactly_the_dataclass_keys_and_fit_its_types() -> None:
    files = sorted((ROOT / "conf" / "model").glob("*.yaml"))
    assert {file.stem for file in files} == set(module.NAMES)
    for file in files:
        tree = OmegaConf.create({"fallback": "allow", "dropout": 0.1, "model": OmegaConf.load(file)})
        values = OmegaConf.to_container(tree, resolve=True)["model"]
        assert list(values) == list(ModelConfig.__dataclass_fields__), file
        config = OmegaConf.to_object(OmegaConf.merge(OmegaConf.structured(ModelConfig), values))
        assert config.name == file.stem and config.dropout == 0.1 and config.fallback is Fallback.allow


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("gpt2", 124_439_808),
        ("gpt2-medium", 354_823_168),
        ("gpt2-large", 774_030_080),
        ("gpt2-xl", 1_557_611_200),
    ],
)
def test_architecture_numbers_give_the_known_parameter_counts(name: str, parameters: int) -> None:
    values = OmegaConf.load(ROOT / "conf" / "model" / f"{name}.yaml")
    with torch.device("meta"):
        model = GPT2LMHeadModel(GPT2Config(**{key: values[key] for key in module.NUMBERS}))
    assert sum(parameter.numel() for parameter in model.parameters()) == parameters


# --- resolve ---


def test_mini_is_the_bundled_folder_and_asks_nobody(checkpoint: Path) -> None:
    base = resolve(ModelConfig(name="mini"), probe=never)
    assert (base.kind, base.name, base.label, base.note, base.revision) == (
        "bundled",
        "mini",
        "mini",
        "",
        None,
    )
    assert base.folder == base.tokenizer == checkpoint
    assert base.tokenizer_id == fingerprint(checkpoint)


def test_auto_without_hub_or_cache_is_mini_and_says_so() -> None:
    base = resolve(ModelConfig(), probe=away)
    assert (base.kind, base.label) == ("bundled", "mini")
    assert "model=auto" in base.note and "unplugged" in base.note and "bundled mini" in base.note


def test_auto_without_a_substitute_allowed_is_an_error() -> None:
    for init in Init:
        with pytest.raises(UserError, match="unplugged"):
            resolve(ModelConfig(fallback=Fallback.error, init=init), probe=away)


def test_gpt2_by_name_is_never_substituted_and_the_ways_out_are_named() -> None:
    with pytest.raises(UserError, match=r"unplugged.*model\.path=.*model=mini.*model\.init=random"):
        resolve(ModelConfig(name="gpt2"), probe=away)


@pytest.mark.parametrize("name", ["auto", "gpt2"])
@pytest.mark.parametrize("repository", ["gpt2", "openai-community/gpt2"])
def test_cached_gpt2_is_taken_without_asking(
    name: str, repository: str, nothing_cached: Path, checkpoint: Path
) -> None:
    snapshot = put_in_cache(nothing_cached, repository, checkpoint)
    base = resolve(ModelConfig(name=name), probe=never)
    assert (base.kind, base.name, base.folder, base.note) == ("hub", "gpt2", snapshot, "")
    assert base.revision == base.weights_id == snapshot.name
    assert base.label == f"hub:gpt2@{snapshot.name}"


@pytest.mark.parametrize("lost", ["config.json", "model.safetensors", "tokenizer.json"])
def test_a_cache_with_a_file_missing_does_not_count(
    lost: str, nothing_cached: Path, checkpoint: Path
) -> None:
    put_in_cache(nothing_cached, "gpt2", checkpoint, skip=lost)
    assert resolve(ModelConfig(), probe=away).label == "mini"


def test_another_revision_is_not_what_is_cached(nothing_cached: Path, checkpoint: Path) -> None:
    snapshot = put_in_cache(nothing_cached, "gpt2", checkpoint)
    assert resolve(ModelConfig(name="gpt2", revision=snapshot.name), probe=never).folder == snapshot
    with pytest.raises(UserError, match="unplugged"):
        resolve(ModelConfig(name="gpt2", revision="other"), probe=away)


def test_a_failed_download_is_a_substitute_for_auto_and_an_error_for_gpt2(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def broken(name: str, revision: str | None, *, weights: bool) -> Path:
        raise UserError("download failed")

    monkeypatch.setattr(module.hub, "fetch", broken)
    base = resolve(ModelConfig(), probe=lambda name, revision: "")
    assert base.label == "mini" and "download failed" in base.note
    with pytest.raises(UserError, match="^download failed"):
        resolve(ModelConfig(name="gpt2"), probe=lambda name, revision: "")


def test_a_path_wins_over_the_name(checkpoint: Path) -> None:
    base = resolve(ModelConfig(name="gpt2", path=str(checkpoint)), probe=never)
    assert (base.kind, base.label, base.folder) == ("path", "path:tiny", checkpoint)


def test_a_bases_identity_follows_its_weights_and_not_its_place(checkpoint: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    copy.mkdir()
    for file in checkpoint.iterdir():
        (copy / file.name).write_bytes(file.read_bytes())
    original = resolve(ModelConfig(path=str(checkpoint))).weights_id
    assert resolve(ModelConfig(path=str(copy))).weights_id == original
    data = bytearray((copy / "model.safetensors").read_bytes())
    data[-1] ^= 1
    (copy / "model.safetensors").write_bytes(data)
    assert resolve(ModelConfig(path=str(copy))).weights_id != original


def edit(folder: Path, what: str) -> None:
    weights = folder / "model.safetensors"
    if what == "config":
        (folder / "config.json").unlink()
    elif what == "json":
        (folder / "config.json").write_text("{")
    elif what == "type":
        (folder / "config.json").write_text(json.dumps({"model_type": "bert"}))
    elif what == "adapter":
        (folder / "adapter_config.json").write_text("{}")
    elif what == "pickle":
        weights.rename(folder / "pytorch_model.bin")
    elif what == "weights":
        weights.unlink()
    elif what == "short":
        weights.write_bytes(weights.read_bytes()[:-100])
    elif what == "header":
        weights.write_bytes(weights.read_bytes()[:100])
    elif what == "garbled":
        weights.write_bytes(b"\x08" + bytes(7) + b"not json and more")
    elif what == "empty":
        weights.write_bytes(b"")
    elif what == "tokenizer":
        (folder / "tokenizer.json").unlink()


@pytest.mark.parametrize(
    ("what", "message"),
    [
        ("config", "no config.json"),
        ("json", "config.json is not JSON"),
        ("type", "is a bert model"),
        ("adapter", "holds an adapter"),
        ("pickle", r"only pickled weights.*save_pretrained"),
        ("weights", "no .*safetensors"),
        ("short", "cut short"),
        ("header", "cut short"),
        ("garbled", "damaged"),
        ("empty", "cut short"),
        ("tokenizer", "holds no tokenizer"),
    ],
)
def test_a_folder_that_is_no_gpt2_checkpoint_is_an_error_of_one_line(
    what: str, message: str, checkpoint: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "broken"
    folder.mkdir()
    for file in checkpoint.iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    assert resolve(ModelConfig(path=str(folder))).kind == "path"
    edit(folder, what)
    with pytest.raises(UserError, match=message) as caught:
        resolve(ModelConfig(path=str(folder)))
    assert "\n" not in str(caught.value)


def test_a_path_that_is_no_folder_is_an_error(checkpoint: Path) -> None:
    with pytest.raises(UserError, match=r"does not exist \(did you mean .*tiny\?\)"):
        resolve(ModelConfig(path=str(checkpoint.parent / "tinny")))
    with pytest.raises(UserError, match="is a file, not a folder"):
        resolve(ModelConfig(path=str(checkpoint / "config.json")))


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (ModelConfig(name="gpt2-mediun"), "did you mean gpt2-medium"),
        (ModelConfig(name="mini", n_layer=7), r"n_layer=7, but .* has n_layer=2"),
        (ModelConfig(name="mini", n_embd=0), r"model.n_embd=0: at least 1"),
        (ModelConfig(name="mini", revision="main"), r"model.revision=main is for a hub model"),
        (ModelConfig(name="mini", dropout=1.0), r"dropout=1.0"),
    ],
)
def test_a_value_that_cannot_count_is_an_error(config: ModelConfig, message: str) -> None:
    with pytest.raises(UserError, match=message):
        resolve(config, probe=never)


def test_random_gpt2_needs_a_vocabulary_from_somewhere(nothing_cached: Path, checkpoint: Path) -> None:
    with pytest.raises(UserError, match=r"model\.tokenizer="):
        resolve(ModelConfig(name="gpt2", init=Init.random), probe=away)
    given = resolve(ModelConfig(name="gpt2", init=Init.random, tokenizer=str(checkpoint)), probe=never)
    assert (given.kind, given.label, given.folder, given.tokenizer) == (
        "random",
        "random:gpt2",
        None,
        checkpoint,
    )
    snapshot = put_in_cache(nothing_cached, "gpt2", checkpoint, skip="model.safetensors")
    cached = resolve(ModelConfig(name="gpt2-medium", init=Init.random), probe=never)
    assert (cached.label, cached.tokenizer) == ("random:gpt2-medium", snapshot)


def test_random_auto_is_gpt2_where_that_is_to_be_had_else_mini(
    nothing_cached: Path, checkpoint: Path
) -> None:
    base = resolve(ModelConfig(init=Init.random), probe=away)
    assert (base.kind, base.label, base.folder) == ("random", "random:mini", checkpoint) and base.note
    put_in_cache(nothing_cached, "gpt2", checkpoint)
    assert resolve(ModelConfig(init=Init.random), probe=never).label == "random:gpt2"


# --- load ---


def mini(**values: object) -> tuple[Base, ModelConfig]:
    config = ModelConfig(name="mini", **values)  # type: ignore[arg-type]
    return resolve(config, probe=never), config


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
        save(GPT2LMHeadModel, folder, dtype)
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
    base = resolve(config, probe=never)
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
    assert {n: p.shape for n, p in fresh.named_parameters()} == {
        n: p.shape for n, p in trained.named_parameters()
    }
    assert not torch.allclose(fresh.transformer.wte.weight, trained.transformer.wte.weight)


def test_heads_must_divide_the_width(checkpoint: Path) -> None:
    config = ModelConfig(
        name="gpt2", init=Init.random, tokenizer=str(checkpoint), n_embd=32, n_head=5, n_layer=1
    )
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
def test_weights_that_do_not_fit_are_an_error(
    change: object, message: str, checkpoint: Path, tmp_path: Path
) -> None:
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
