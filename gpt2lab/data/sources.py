"""Files and hub copies as memory-mapped datasets, samples of them, and splits that keep a document whole."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from gpt2lab import quiet
from gpt2lab.errors import UserError

if TYPE_CHECKING:
    from datasets import Dataset


def file_fingerprint(path: str | Path) -> str:
    """SHA-256 of a file's name and bytes (a folder: of all files in it), 16 hex digits."""
    path = Path(path).expanduser()
    digest = hashlib.sha256()
    for file in sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]:
        digest.update(file.name.encode())
        with file.open("rb") as stream:
            while block := stream.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()[:16]


def code_fingerprint(*modules: Any) -> str:
    """Hash of the source of modules that shape cached data, so that a cache made by older code is not used."""
    text = b"".join(Path(str(m.__file__)).read_bytes() for m in modules)
    return hashlib.sha256(text).hexdigest()[:16]


def from_rows(rows: Callable[..., Iterator[dict]], arguments: dict[str, Any], fingerprint: str) -> Dataset:
    """`rows(**arguments)` written once to the `datasets` cache and memory-mapped; found again by `fingerprint`.

    `rows` is a function of a module. A UserError it raises comes through as it is.
    """
    from datasets import Dataset
    from datasets.exceptions import DatasetGenerationError

    quiet.datasets()
    try:
        return Dataset.from_generator(_keyed, gen_kwargs={"rows": rows, "arguments": arguments, "key": fingerprint})
    except DatasetGenerationError as error:
        cause: BaseException | None = error
        while cause is not None and not isinstance(cause, UserError):
            cause = cause.__cause__
        if cause is None:
            raise
        raise cause from None


def _keyed(rows: Callable[..., Iterator[dict]], arguments: dict[str, Any], key: str) -> Iterator[dict]:
    yield from rows(**arguments)


def sample(dataset: Dataset, size: int | None, seed: int) -> Dataset:
    """A seeded sample without replacement, in the original order; all if `size` is None or not smaller."""
    if size is None or size >= len(dataset):
        return dataset
    chosen = np.random.default_rng(seed).choice(len(dataset), size, replace=False)
    return dataset.select(np.sort(chosen))


def hold_out(dataset: Dataset, fraction: float, column: str, seed: int) -> tuple[Dataset, Dataset]:
    """Split off whole groups (equal values of `column`) until `fraction` of the rows are held out: (rest, held out).

    At least one group is held out and at least one stays; UserError if there is only one.
    """
    groups, inverse, counts = np.unique(np.asarray(dataset[column]), return_inverse=True, return_counts=True)
    if len(groups) < 2:
        raise UserError(f"the training data has only one {column} ({groups[0] if len(groups) else 'no rows'}): "
                        f"nothing can be held out for validation; at least two are needed")  # fmt: skip
    order = np.random.default_rng(seed).permutation(len(groups))
    taken = int(np.searchsorted(np.cumsum(counts[order]), fraction * len(dataset)) + 1)
    held = np.isin(inverse, order[: min(taken, len(groups) - 1)])
    return dataset.select(np.flatnonzero(~held)), dataset.select(np.flatnonzero(held))


def digest(*parts: Any) -> str:
    """A fingerprint of parts that have a stable text form."""
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:16]
