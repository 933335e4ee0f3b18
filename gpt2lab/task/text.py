"""Contiguous text: next-token prediction in blocks of `context_size`, documents joined by an end-of-text token.

document   The old mill was built in 1843. ...
block      256 tokens of the documents in order, each document ended by <|endoftext|>
"""

from __future__ import annotations

import functools
import math
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gpt2lab import quiet
from gpt2lab.data import sources
from gpt2lab.errors import UserError
from gpt2lab.schema import knob
from gpt2lab.task import lm, register
from gpt2lab.task.base import Scores, Source, Splits, Task

if TYPE_CHECKING:
    from datasets import Dataset

HELD_OUT_EVALUATION = 0.02


@dataclass
class TextConfig:
    """Plain text, from files or from the bundled generator."""

    kind: str = knob()
    train_file: str | None = knob(exists=True)
    """a UTF-8 text file (documents parted by blank lines) or a folder of .txt files (a document each)"""
    eval_file: str | None = knob(exists=True)
    """likewise; null: a part of the documents is held out"""
    bundled_documents: int | None = knob(ge=0)
    """generated documents, added to a train_file; null: 20,000 without a train_file, none beside one"""
    max_train_examples: int | None = knob(ge=1)
    """a seeded sample of the training documents; null: all"""
    max_eval_examples: int | None = knob(ge=1)
    """a seeded sample of the evaluation documents; null: all"""
    sample_seed: int = knob(ge=0)
    """of samples and held-out documents"""
    context_size: int = knob(ge=2)
    """tokens of a block"""
    stride: int | None = knob(ge=1)
    """tokens between the starts of two blocks; null: context_size, no overlap"""
    eval_batch_tokens: int = knob(ge=1)
    """tokens of an evaluation batch"""


@register("text", TextConfig)
def text(config: TextConfig) -> Task:
    """The task as the loop sees it."""
    return Task(
        name="text", objective="lm", load=functools.partial(load, config), encode=functools.partial(encode, config),
        collate=lm.collate, loss=lm.loss, items=lm.items, answer=lm.answer, gather=gather, score=score,
        metrics=("perplexity", "bits_per_byte"),
        longest=config.context_size, longest_key="context_size",
    )  # fmt: skip


def load(config: TextConfig, *, real_base: bool, fraction: float, max_validation: int | None) -> Splits:
    """Documents of the files and of the generator; validation and evaluation parts are whole documents."""
    count = config.bundled_documents
    if count is None:
        count = 0 if config.train_file else 20_000
    train = _documents(config.train_file, count)
    if config.eval_file:
        evaluation = _documents(config.eval_file, 0)
    else:
        train, evaluation = sources.hold_out(train, HELD_OUT_EVALUATION, "id", config.sample_seed + 1)
    train, validation = sources.hold_out(train, fraction, "id", config.sample_seed)
    prints = [sources.file_fingerprint(f) for f in (config.train_file, config.eval_file) if f]
    label = f"file:{Path(config.train_file).name}@{prints[0]}" if config.train_file else "bundled"
    return Splits(
        train=sources.sample(train, config.max_train_examples, config.sample_seed),
        validation=sources.sample(validation, max_validation, config.sample_seed),
        evaluation=sources.sample(evaluation, config.max_eval_examples, config.sample_seed),
        source=Source(label, sources.digest(*prints, count, _version())),
    )


def documents(path: str | None, bundled: int) -> Iterator[dict[str, str]]:
    """Rows `{"id", "text"}`: the files' documents, then the generated ones."""
    from gpt2lab.data.synthetic import squad as generator

    if path:
        root = Path(path).expanduser()
        files = sorted(root.rglob("*.txt")) if root.is_dir() else [root]
        if not files:
            raise UserError(f"{root}: no .txt file in this folder")
        for file in files:
            content = file.read_text(encoding="utf-8", errors="replace")
            parts = [content] if root.is_dir() else content.split("\n\n")
            for i, part in enumerate(p.strip() for p in parts):
                if part:
                    yield {"id": f"{file.relative_to(root) if root.is_dir() else file.name}:{i}", "text": part}
    for i, part in enumerate(generator.documents(bundled, seed=0) if bundled else ()):
        yield {"id": f"bundled:{i}", "text": part}


def _version() -> str:
    from gpt2lab.data.synthetic import squad as generator

    return sources.code_fingerprint(generator, *generator.MODULES)


def _documents(path: str | None, bundled: int) -> Dataset:
    mark = sources.digest(sources.file_fingerprint(path) if path else None, bundled, _version())
    found = sources.from_rows(documents, {"path": path, "bundled": bundled}, mark)
    if len(found) < 3:
        raise UserError(f"{path}: {len(found)} documents; at least 3 are needed, parted by blank lines")
    return found


def encode(config: TextConfig, examples: Dataset, tokenizer: Any, training: bool) -> Dataset:
    """Blocks: input_ids, length, useful tokens, the first document, and `skip` tokens that an overlap repeats."""
    if config.context_size > tokenizer.model_max_length:
        raise UserError(
            f"task.context_size={config.context_size}: this model has {tokenizer.model_max_length} positions"
        )
    stride = config.stride or config.context_size
    if stride > config.context_size:
        raise UserError(f"task.stride={stride}: must be at most task.context_size={config.context_size}")
    quiet.datasets()
    shape = (tokenizer.gpt2lab_id, config.context_size, stride)
    key = sources.digest(examples._fingerprint, shape, sources.code_fingerprint(sys.modules[__name__]))
    return examples.map(
        _encode_batch, batched=True, batch_size=2000, with_indices=True, remove_columns=examples.column_names,
        new_fingerprint=key,
        fn_kwargs={"tokenizer": tokenizer, "size": config.context_size, "stride": stride},
    )  # fmt: skip


def _encode_batch(
    batch: dict[str, list], indices: list[int], *, tokenizer: Any, size: int, stride: int
) -> dict[str, list]:
    ids: list[int] = []
    owner: list[int] = []
    for index, tokens in zip(indices, tokenizer(batch["text"], add_special_tokens=False)["input_ids"], strict=True):
        ids += [*tokens, tokenizer.eos_token_id]
        owner += [index] * (len(tokens) + 1)
    out: dict[str, list] = {k: [] for k in ("input_ids", "length", "useful", "example", "skip")}
    for start in range(0, len(ids), stride):
        block = ids[start : start + size]
        skip = 0 if start == 0 else size - stride
        if len(block) <= max(1, skip):
            break
        for key, value in (("input_ids", block), ("length", len(block)), ("useful", len(block) - skip),
                           ("example", owner[start]), ("skip", skip)):  # fmt: skip
            out[key].append(value)
    return out


def gather(answers: list[tuple[float, int]], features: Any, examples: Any) -> dict[str, Any]:
    """By block: the document it begins in, its summed loss in nats, its supervised tokens and its new ones."""
    ids, owners, new = examples["id"][:], features["example"][:], features["useful"][:]
    return {f"{ids[owners[i]]}/{i}": {"nats": nats, "tokens": n, "new": new[i]} for i, (nats, n) in enumerate(answers)}


def score(predictions: dict[str, Any], examples: Any) -> Scores:
    """Perplexity per supervised token, and bits per byte of the documents' UTF-8 text.

    The first token of a block has nothing before it and is not supervised; for bits per byte it counts as a mean one.
    """
    nats, tokens, new = (sum(p[k] for p in predictions.values()) for k in ("nats", "tokens", "new"))
    size = sum(len(t.encode()) for t in examples["text"])
    mean = nats / max(1, tokens)
    return Scores({"perplexity": math.exp(min(700.0, mean)), "bits_per_byte": mean * new / math.log(2) / max(1, size)})
