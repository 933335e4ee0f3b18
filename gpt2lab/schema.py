"""Bounds of config values, declared on the dataclass fields that hold them and checked in one place."""

from __future__ import annotations

import dataclasses
import difflib
import enum
import math
import operator
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from gpt2lab.errors import UserError

SIGNS = {"ge": ">=", "gt": ">", "le": "<=", "lt": "<"}
COMPARE = {"ge": operator.ge, "gt": operator.gt, "le": operator.le, "lt": operator.lt}
MISSING: Any = "???"  # omegaconf's mark of a value that the YAML must give


def knob(*, ge: float | None = None, gt: float | None = None, le: float | None = None, lt: float | None = None,
         exists: bool = False) -> Any:  # fmt: skip
    """A dataclass field whose value comes from YAML, with its bounds (`exists`: a path that must be there)."""
    bounds = {"ge": ge, "gt": gt, "le": le, "lt": lt}
    metadata = {"bounds": {k: v for k, v in bounds.items() if v is not None}, "exists": exists}
    return dataclasses.field(default=MISSING, metadata=metadata)


def nearest(word: str, valid: Iterable[str]) -> str:
    """`did you mean X? ` if some valid word is near, else an empty string."""
    options = list(valid)
    close = difflib.get_close_matches(word, options, n=1, cutoff=0.6)
    if not close:  # a typo in a long dotted key: compare the last part alone
        tails = {option.rsplit(".", 1)[-1]: option for option in options}
        close = [tails[t] for t in difflib.get_close_matches(word.rsplit(".", 1)[-1], tails, n=1, cutoff=0.7)]
    return f"did you mean {close[0]}? " if close else ""


def expected(annotation: str, bounds: dict[str, float] | None = None) -> str:
    """What is valid, in words: `a whole number >= 1`."""
    words = {"int": "a whole number", "float": "a number", "bool": "true or false", "str": "a text"}
    optional = "Optional" in annotation or "None" in annotation
    base = next((text for name, text in words.items() if name in annotation), f"of type {annotation}")
    limits = " and ".join(f"{SIGNS[k]} {v:g}" for k, v in (bounds or {}).items())
    return " ".join(part for part in (base, limits, "or null" if optional else "") if part)


def check_bounds(config: Any, prefix: str = "", *, files: bool = True) -> None:
    """Walk a dataclass tree; UserError at the first value outside its bounds or (`files`) path not there."""
    for field in dataclasses.fields(config):
        value, key = getattr(config, field.name), f"{prefix}{field.name}"
        if dataclasses.is_dataclass(value) and not isinstance(value, type):
            check_bounds(value, f"{key}.", files=files)
            continue
        if value is None:
            continue
        bounds = field.metadata.get("bounds", {})
        numeric = isinstance(value, int | float) and not isinstance(value, bool)
        if numeric and not (math.isfinite(value) and all(COMPARE[sign](value, v) for sign, v in bounds.items())):
            raise UserError(f"{key}={value}: must be {expected(str(field.type), bounds)}")
        if files and field.metadata.get("exists"):
            for path in value if isinstance(value, list) else [value]:
                if not Path(path).expanduser().exists():
                    raise UserError(f"{key}={path}: no such file or folder (a path on this machine, "
                                    f"relative to {Path.cwd()})")  # fmt: skip


class Fallback(enum.Enum):
    """Whether a substitute may stand in for what is not there (announced), or that is an error."""

    allow = "allow"
    error = "error"
