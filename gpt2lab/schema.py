"""Bounds of config values, declared on the dataclass fields that hold them and checked in one place."""

from __future__ import annotations

import dataclasses
import difflib
import enum
import math
import operator
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any, get_args, get_type_hints

from gpt2lab.errors import UserError

SIGNS = {"ge": ">=", "gt": ">", "le": "<=", "lt": "<"}
COMPARE = {"ge": operator.ge, "gt": operator.gt, "le": operator.le, "lt": operator.lt}
WORDS = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "a text",
    Any: "a name or a list of names",
}
LARGEST = 2**63  # of whole numbers: what a tensor and a database column hold
MISSING: Any = "???"  # omegaconf's mark of a value that the YAML must give


def knob(*, ge: float | None = None, gt: float | None = None, le: float | None = None, lt: float | None = None,
         exists: bool = False, default: Any = MISSING) -> Any:  # fmt: skip
    """A dataclass field whose value comes from YAML, with its bounds (`exists`: a path that must be there)."""
    bounds = {"ge": ge, "gt": gt, "le": le, "lt": lt}
    metadata = {"bounds": {k: v for k, v in bounds.items() if v is not None}, "exists": exists}
    return dataclasses.field(default=default, metadata=metadata)


def nearest(word: str, valid: Iterable[str]) -> str:
    """`did you mean X? ` if some valid word is near, else an empty string. Dotted keys are compared part by part."""
    options = {option.lower(): option for option in valid}
    section, _, name = word.lower().rpartition(".")
    beside = {o.rpartition(".")[2]: o for o in options if o.rpartition(".")[0] == section}
    anywhere = {o.rpartition(".")[2]: o for o in reversed(options)}
    whole = {} if beside else {o: o for o in options}
    for text, pool, cutoff in ((name, beside, 0.55), (word.lower(), whole, 0.6), (name, anywhere, 0.75)):
        if close := difflib.get_close_matches(text, pool, n=1, cutoff=cutoff):
            return f"did you mean {options[pool[close[0]]]}? "
    return ""


def shown(value: Any) -> str:
    """A value as it is typed on the command line, on one line."""
    if value is None or isinstance(value, bool):
        return "null" if value is None else str(value).lower()
    if isinstance(value, list):
        return f"[{','.join(map(shown, value))}]"
    return " ".join(str(value).splitlines())


def expected(schema: type, key: str) -> str:
    """What is valid for a field, in words: `a whole number >= 1 or null`."""
    owner = next(c for c in schema.__mro__ if key in vars(c).get("__annotations__", {}))
    hint = get_type_hints(owner)[key]
    kinds = get_args(hint) or (hint,)
    kind = next(k for k in kinds if k is not type(None))
    if isinstance(kind, type) and issubclass(kind, enum.Enum):
        words = f"one of {', '.join(member.name for member in kind)}"
    else:
        words = WORDS[kind]
    field = next(f for f in dataclasses.fields(schema) if f.name == key)
    bounds = field.metadata.get("bounds", {})
    limits = " and ".join(f"{SIGNS[k]} {v}" for k, v in bounds.items())
    return " ".join(part for part in (words, limits, "or null" if type(None) in kinds else "") if part)


def check_bounds(config: Any, prefix: str = "", *, files: bool = True) -> None:
    """Walk a dataclass tree; UserError at the first value out of bounds, empty text or (`files`) path not there."""
    for field in dataclasses.fields(config):
        value, key = getattr(config, field.name), f"{prefix}{field.name}"
        if dataclasses.is_dataclass(value) and not isinstance(value, type):
            check_bounds(value, f"{key}.", files=files)
        elif not _within(value, field.metadata.get("bounds", {})):
            raise UserError(f"{key}={shown(value)}: must be {expected(type(config), field.name)}")
        elif files and field.metadata.get("exists") and value is not None and not _is_there(value):
            raise UserError(f"{key}={shown(value)}: no such file or folder (a path on this machine, "
                            f"relative to {Path.cwd()})")  # fmt: skip


def _within(value: Any, bounds: dict[str, float]) -> bool:
    """Whether a number is finite and within bounds, a text or a list not empty, a list's entries texts."""
    if isinstance(value, bool) or value is None:
        return True
    if isinstance(value, int | float):
        small = not isinstance(value, int) or abs(value) < LARGEST
        return small and math.isfinite(value) and all(COMPARE[sign](value, v) for sign, v in bounds.items())
    if isinstance(value, list):
        return bool(value) and all(isinstance(entry, str) and entry for entry in value)
    return value != ""


def _is_there(path: str) -> bool:
    """Through os.path, not Path: a name too long, or of a user unknown here, is not there either."""
    return os.path.exists(os.path.expanduser(path))


def absolute_paths(config: Any) -> None:
    """Make the input paths of a config absolute, so that a finished run can be asked from any folder."""
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        if field.metadata.get("exists") and value is not None:
            setattr(config, field.name, os.path.abspath(os.path.expanduser(value)))


class Fallback(enum.Enum):
    """Whether a substitute may stand in for what is not there (announced), or that is an error."""

    allow = "allow"
    error = "error"
