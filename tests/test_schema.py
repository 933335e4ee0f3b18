"""Bounds, the words for what is valid, the nearest name."""

from __future__ import annotations

import enum
import types
import typing
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, get_args, get_type_hints

import pytest

from gpt2lab import config, schema
from gpt2lab.errors import UserError
from gpt2lab.hardware import HardwareConfig
from gpt2lab.model.base import ModelConfig
from gpt2lab.schema import knob, nearest, shown
from gpt2lab.tracking import TrackingConfig
from gpt2lab.train.checkpoint import CheckpointConfig
from gpt2lab.train.optim import TrainConfig
from gpt2lab.train.stopping import ValidationConfig

KEYS = ["rank", "batch_size", "train", "train.lr", "train.warmup", "adapter.rank", "adapter.dropout"]
SECTIONS = [HardwareConfig, ModelConfig, TrackingConfig, CheckpointConfig, TrainConfig, ValidationConfig]


class Colour(enum.Enum):
    red = "red"
    blue = "blue"


@dataclass
class Inner:
    share: float = knob(ge=0, lt=1)
    colour: Colour = knob()


@dataclass
class Outer:
    count: int = knob(ge=1)
    limit: int | None = knob(ge=1, le=9)
    flag: bool = knob()
    name: str = knob()
    names: Any = knob()
    file: str | None = knob(exists=True)
    inner: Inner = knob()


def outer(**values: object) -> Outer:
    good = {"count": 1, "limit": None, "flag": True, "name": "x", "names": ["a"], "file": None}
    inner = Inner(share=values.pop("share", 0.5), colour=Colour.red)  # type: ignore[arg-type]
    return Outer(**(good | values), inner=inner)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("word", "found"),
    [
        ("ranks", "rank"), ("RANK", "rank"), ("batch", "batch_size"), ("warmup", "train.warmup"),
        ("trian.lr", "train.lr"), ("train.warmpu", "train.warmup"), ("train.rank", "rank"),
        ("adapter.typo", None), ("zzz", None), ("", None),
    ],
)  # fmt: skip
def test_nearest(word: str, found: str | None) -> None:
    assert nearest(word, KEYS) == (f"did you mean {found}? " if found else "")


def test_nearest_of_nothing() -> None:
    assert nearest("rank", []) == ""


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "null"), (True, "true"), (3, "3"), (0.5, "0.5"), (["a", None], "[a,null]"), ("a\nb", "a b")],
)
def test_shown_as_typed(value: object, text: str) -> None:
    assert shown(value) == text


@pytest.mark.parametrize(
    ("values", "line"),
    [
        ({"count": 0}, "count=0: must be a whole number >= 1"),
        ({"count": 2**63}, f"count={2**63}: must be a whole number >= 1"),
        ({"limit": 10}, "limit=10: must be a whole number >= 1 and <= 9 or null"),
        ({"share": 1.0}, "inner.share=1.0: must be a number >= 0 and < 1"),
        ({"share": float("nan")}, "inner.share=nan: must be a number >= 0 and < 1"),
        ({"share": -0.1}, "inner.share=-0.1: must be a number >= 0 and < 1"),
        ({"name": ""}, "name=: must be a text"),
        ({"names": []}, "names=[]: must be a name or a list of names"),
        ({"names": ["a", 3]}, "names=[a,3]: must be a name or a list of names"),
        ({"file": ""}, "file=: must be a text or null"),
    ],
)
def test_a_value_out_of_bounds(values: dict[str, object], line: str) -> None:
    with pytest.raises(UserError) as caught:
        schema.check_bounds(outer(**values))
    assert str(caught.value) == line


def test_values_on_the_bounds_pass() -> None:
    for values in ({}, {"limit": 1}, {"limit": 9}, {"share": 0.0}, {"names": "a"}, {"flag": False}, {"count": 2**62}):
        schema.check_bounds(outer(**values))


def test_a_file_that_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "there.json").write_text("{}")
    schema.check_bounds(outer(file="there.json"))
    for name in ("nowhere.json", "x" * 5000, "~nobody-of-this-name/x", "a\0b"):
        with pytest.raises(UserError, match="no such file or folder"):
            schema.check_bounds(outer(file=name))
        schema.check_bounds(outer(file=name), files=False)
    with pytest.raises(UserError) as caught:
        schema.check_bounds(outer(file="nowhere.json"))
    assert str(caught.value).startswith("file=nowhere.json: ") and str(tmp_path) in str(caught.value)


def test_what_is_valid_for_an_enum() -> None:
    assert schema.expected(Inner, "colour") == "one of red, blue"
    assert schema.expected(Outer, "flag") == "true or false"


def test_every_numeric_field_of_every_config_has_bounds() -> None:
    kinds = [entry.config for registry in config.KINDS.values() for entry in registry.entries().values()]
    checked = 0
    for section in {*SECTIONS, *kinds, config.Knobs}:
        hints = get_type_hints(section)
        for field in fields(section):
            hint = hints[field.name]
            union = typing.get_origin(hint) in (typing.Union, types.UnionType)
            if {int, float} & set(get_args(hint) if union else (hint,)):
                assert field.metadata.get("bounds"), f"{section.__name__}.{field.name}"
                checked += 1
    assert checked > 30
