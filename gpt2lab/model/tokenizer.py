"""Byte-level BPE tokenizers from a local folder: load one, fingerprint one, train one."""

from __future__ import annotations

import contextlib
import difflib
import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from gpt2lab import quiet
from gpt2lab.errors import UserError

if TYPE_CHECKING:
    from tokenizers import Tokenizer
    from transformers import PreTrainedTokenizerFast

END = "<|endoftext|>"  # GPT-2's one special token: begin, end, unknown and pad at once
FILES = ("tokenizer.json", "vocab.json", "merges.txt")


def is_tokenizer(path: Path) -> bool:
    """Whether the folder holds `tokenizer.json`, or `vocab.json` and `merges.txt`."""
    return (path / FILES[0]).is_file() or all((path / name).is_file() for name in FILES[1:])


def load_tokenizer(path: Path) -> PreTrainedTokenizerFast:
    """The tokenizer of a folder, with pad = eos; reads local files only, prints nothing.

    `tokenizer.json` wins over `vocab.json` + `merges.txt` where both are there.

    Raises:
        UserError: no such folder, no tokenizer in it, or files that cannot be read as one.
    """
    quiet.transformers()
    from transformers import PreTrainedTokenizerFast

    _check_folder(path)
    tokenizer = _read(path)
    tokenizer.no_truncation()  # a saved tokenizer.json may carry both, and would cut texts in silence
    tokenizer.no_padding()
    vocabulary = tokenizer.get_vocab()
    end = END if END in vocabulary else _declared_end(path)
    if end not in vocabulary:
        raise UserError(f"tokenizer {path}: its vocabulary has no end-of-text token {END!r}")
    tokenizer.add_special_tokens([end])  # in the vocabulary already: this keeps BPE from splitting it
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token=end, eos_token=end, unk_token=end, pad_token=end,
        clean_up_tokenization_spaces=False,
    )  # fmt: skip


def tokenizer_of(path: Path, identity: str, positions: int) -> PreTrainedTokenizerFast:
    """`load_tokenizer`, told what it belongs to: the model's positions, and the identity that keys encoded features."""
    tokenizer = load_tokenizer(path)
    tokenizer.model_max_length, tokenizer.gpt2lab_id = positions, identity
    return tokenizer


def fingerprint(path: Path) -> str:
    """sha256 (hex) of the files `load_tokenizer` reads, each with its name; the same on every machine.

    Raises:
        UserError: as `load_tokenizer` for a folder without a tokenizer.
    """
    _check_folder(path)
    digest = hashlib.sha256()
    for name in FILES[:1] if (path / FILES[0]).is_file() else FILES[1:]:
        data = (path / name).read_bytes()
        digest.update(f"{name} {len(data)}\n".encode())
        digest.update(data)
    return digest.hexdigest()


def train_bpe(texts: Iterator[str], vocab_size: int, out: Path) -> None:
    """Train a byte-level BPE as GPT-2's on `texts` and write `out/tokenizer.json`.

    `<|endoftext|>` is id 0, the 256 bytes follow, so nothing is ever unknown. The same texts in any
    order give the same file. Byte pair encoding: Sennrich et al. 2016 (arXiv:1508.07909); on bytes:
    Radford et al. 2019 (GPT-2), section 2.2.

    Raises:
        UserError: `vocab_size` below 257 (the bytes and the special token).
    """
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers

    if vocab_size < 257:
        raise UserError(f"vocab_size={vocab_size}: a byte-level BPE needs at least 257 (256 bytes and {END})")
    tokenizer = Tokenizer(models.BPE())
    _as_gpt2(tokenizer)
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size, special_tokens=[END], show_progress=False,
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
    )  # fmt: skip
    tokenizer.train_from_iterator(texts, trainer)
    out.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(out / FILES[0]))


def _as_gpt2(tokenizer: Tokenizer) -> None:
    """GPT-2's word split and byte alphabet; offsets keep a word's leading space, as in GPT-2's own file."""
    from tokenizers import decoders, pre_tokenizers, processors

    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.post_processor = processors.ByteLevel(trim_offsets=False)
    tokenizer.decoder = decoders.ByteLevel()


def no_folder(path: Path) -> str:
    """What is wrong with a `path` that is no folder, and the sibling folder with the nearest name."""
    if path.exists():
        return "is a file, not a folder"
    siblings = [other.name for other in path.parent.iterdir() if other.is_dir()] if path.parent.is_dir() else []
    near = difflib.get_close_matches(path.name, siblings, n=1)
    return "does not exist" + (f" (did you mean {path.parent / near[0]}?)" if near else "")


def _check_folder(path: Path) -> None:
    if not path.is_dir():
        raise UserError(
            f"tokenizer {path} {no_folder(path)}; give a folder with tokenizer.json, or vocab.json and merges.txt"
        )
    if not is_tokenizer(path):
        raise UserError(f"tokenizer {path}: holds neither tokenizer.json nor vocab.json with merges.txt")


def _read(path: Path) -> Tokenizer:
    from tokenizers import Tokenizer, models

    whole = (path / FILES[0]).is_file()
    try:
        if whole:
            return Tokenizer.from_file(str(path / FILES[0]))
        model = models.BPE.from_file(str(path / FILES[1]), str(path / FILES[2]))
    except Exception as error:  # the Rust library raises bare Exception, whatever is wrong with a file
        names = FILES[0] if whole else " and ".join(FILES[1:])
        raise UserError(f"tokenizer {path}: {names} cannot be read ({str(error).splitlines()[0]})") from error
    tokenizer = Tokenizer(model)
    _as_gpt2(tokenizer)
    return tokenizer


def _declared_end(path: Path) -> str | None:
    """The eos token that `tokenizer_config.json` names, for a checkpoint that renamed GPT-2's."""
    with contextlib.suppress(OSError, ValueError):
        declared = json.loads((path / "tokenizer_config.json").read_text(encoding="utf-8")).get("eos_token")
        return declared["content"] if isinstance(declared, dict) else declared
    return None
