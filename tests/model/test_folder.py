"""A checkpoint folder: what is wrong with a wrong one, and that its identity is its content."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from gpt2lab.errors import UserError
from gpt2lab.model.base import ModelConfig, resolve

pytestmark = pytest.mark.usefixtures("nothing_cached")


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
