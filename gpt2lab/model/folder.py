"""A GPT-2 checkpoint in a local folder: is it one, is it whole, which one is it, and reading it."""

from __future__ import annotations

import functools
import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gpt2lab.errors import UserError
from gpt2lab.model.tokenizer import no_folder

if TYPE_CHECKING:
    from transformers import GPT2Config, PreTrainedModel

HEADS = ("qa_outputs.", "score.", "lm_head.")  # what a checkpoint may lack


def check_checkpoint(folder: Path, title: str, *, weights: bool = True) -> dict[str, Any]:
    """Check that `folder` holds GPT-2 (config.json, and whole safetensors files); its config.json.

    Imports no torch; of the weights it reads headers alone. `title` names the folder in an error.

    Raises:
        UserError: says what is wrong and what would be right.
    """
    if not folder.is_dir():
        raise UserError(f"{title} {no_folder(folder)}; give a folder with a GPT-2 checkpoint")
    if (folder / "adapter_config.json").is_file():
        raise UserError(f"{title} holds an adapter, not a base model; give the folder of its base")
    file = folder / "config.json"
    if not file.is_file():
        raise UserError(f"{title} has no config.json; give a folder with a GPT-2 checkpoint")
    try:
        architecture = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise UserError(f"{file} is not JSON ({error})") from error
    kind = architecture.get("model_type") if isinstance(architecture, dict) else None
    if kind != "gpt2":
        raise UserError(f"{title} is a {kind or 'nameless'} model (model_type in config.json), not gpt2")
    if weights:
        _check_weights(folder, title)
    return architecture


def folder_id(folder: Path, *, weights: bool = True) -> str:
    """sha256 (hex) of config.json and, with `weights`, of the safetensors files: equal content, equal id."""
    digest = hashlib.sha256()
    for file in [folder / "config.json", *(sorted(folder.glob("*.safetensors")) if weights else [])]:
        status = file.stat()
        digest.update(f"{file.name} {_sha256(file, status.st_size, status.st_mtime_ns)}\n".encode())
    return digest.hexdigest()


@functools.lru_cache(maxsize=32)
def _sha256(file: Path, size: int, mtime: int) -> str:
    """Of one file; size and time are in the cache's key: a sweep hashes it once, and anew if it changed."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _check_weights(folder: Path, title: str) -> None:
    files = sorted(folder.glob("*.safetensors"))
    if not files and any(folder.glob("*.bin")):
        raise UserError(
            f"{title} has only pickled weights (.bin), which can run code and are not loaded; convert: "
            'python -c "from transformers import GPT2LMHeadModel as M; '
            f"M.from_pretrained('{folder}', use_safetensors=False).save_pretrained('{folder}')\""
        )
    if not files:
        raise UserError(f"{title} has no *.safetensors weights")
    for file in files:
        size = file.stat().st_size
        if size != (expected := _declared_size(file)):
            raise UserError(f"{file} is damaged or cut short: {size} bytes, its header says {expected}; copy it again")


def _declared_size(file: Path) -> int | None:
    """Bytes a safetensors file should have, from its header; None if the header itself is cut or garbled.

    Format: 8 bytes n (little endian), n bytes of JSON with each tensor's data_offsets, the data.
    """
    with file.open("rb") as stream:
        length = int.from_bytes(stream.read(8), "little")
        if length > file.stat().st_size:
            return None
        try:
            header = json.loads(stream.read(length))
            ends = [entry["data_offsets"][1] for key, entry in header.items() if key != "__metadata__"]
        except (ValueError, KeyError, TypeError, AttributeError, IndexError):
            return None
    return 8 + length + max(ends, default=0)


def read_model(folder: Path, kind: Any, architecture: GPT2Config, label: str) -> PreTrainedModel:
    """A `kind` (a GPT-2 class of transformers) in fp32 with the folder's safetensors weights.

    Raises:
        UserError: a weight other than the head's is missing, has another shape, or has no place.
    """
    import torch

    model, info = kind.from_pretrained(
        folder, config=architecture, dtype=torch.float32, use_safetensors=True, trust_remote_code=False,
        local_files_only=True, output_loading_info=True, ignore_mismatched_sizes=True,
    )  # fmt: skip
    missing = sorted(key for key in info["missing_keys"] if not key.startswith(HEADS))
    if missing:
        raise UserError(f"{label}: {len(missing)} weights are missing in {folder}, the first is {missing[0]}")
    for key, there, wanted in sorted(info["mismatched_keys"]):
        raise UserError(f"{label}: {key} is {tuple(there)} in {folder}, {tuple(wanted)} is needed here")
    excess = sorted(key for key in info["unexpected_keys"] if not _is_spare(key))
    if excess:
        raise UserError(f"{label}: {len(excess)} weights in {folder} have no place, the first is {excess[0]}")
    return model


def _is_spare(key: str) -> bool:
    """A head of another objective, or the causal mask that old checkpoints carry."""
    return key.startswith(HEADS) or key.endswith((".attn.bias", ".attn.masked_bias"))
