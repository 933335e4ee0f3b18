"""Which base a config means, with the hub away, cached or answering."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from omegaconf import OmegaConf
from transformers import GPT2Config, GPT2LMHeadModel

from gpt2lab.errors import UserError
from gpt2lab.model import base as module
from gpt2lab.model.base import Fallback, Init, ModelConfig, resolve
from gpt2lab.model.tokenizer import fingerprint

ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.usefixtures("nothing_cached")


def away(name: str, revision: str | None) -> str:
    return "unplugged"


def never(name: str, revision: str | None) -> str:
    raise AssertionError("nothing is to be asked of the network here")


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
def test_a_cache_with_a_file_missing_does_not_count(lost: str, nothing_cached: Path, checkpoint: Path) -> None:
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
    with pytest.raises(UserError, match=r"^download failed"):
        resolve(ModelConfig(name="gpt2"), probe=lambda name, revision: "")


def test_a_path_wins_over_the_name(checkpoint: Path) -> None:
    base = resolve(ModelConfig(name="gpt2", path=str(checkpoint)), probe=never)
    assert (base.kind, base.label, base.folder) == ("path", "path:tiny", checkpoint)


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


def test_random_auto_is_gpt2_where_that_is_to_be_had_else_mini(nothing_cached: Path, checkpoint: Path) -> None:
    base = resolve(ModelConfig(init=Init.random), probe=away)
    assert (base.kind, base.label, base.folder) == ("random", "random:mini", checkpoint) and base.note
    put_in_cache(nothing_cached, "gpt2", checkpoint)
    assert resolve(ModelConfig(init=Init.random), probe=never).label == "random:gpt2"
