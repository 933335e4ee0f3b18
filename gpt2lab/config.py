"""From what the user typed to checked dataclasses: the only file that sees a DictConfig."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields
from enum import Enum
from pathlib import Path
from typing import Any, get_type_hints

from hydra import compose, initialize_config_dir
from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException, UnsupportedValueType, ValidationError

from gpt2lab import adapter, precision, quantization, task
from gpt2lab.errors import UserError
from gpt2lab.hardware import HardwareConfig
from gpt2lab.helptext import conf_dir, group_choices
from gpt2lab.model.base import ModelConfig
from gpt2lab.schema import Fallback, check_bounds, expected, knob, nearest
from gpt2lab.tracking import TrackingConfig
from gpt2lab.train.checkpoint import CheckpointConfig
from gpt2lab.train.optim import TrainConfig
from gpt2lab.train.stopping import ValidationConfig

KINDS = {"task": task.kinds, "adapter": adapter.kinds, "precision": precision.kinds,
         "quantization": quantization.kinds}  # fmt: skip
RESULT_SECTIONS = ("task", "model", "adapter", "precision", "quantization", "train", "validation", "seed",
                   "deterministic")  # fmt: skip


@dataclass
class Knobs:
    """The values at the top of `conf/config.yaml`; groups and sections take theirs from them by interpolation."""

    rank: int = knob(ge=1)
    lr: float = knob(gt=0)
    targets: Any = knob()
    alpha: float = knob(gt=0)
    dropout: float = knob(ge=0, lt=1)
    epochs: float = knob(gt=0)
    max_steps: int | None = knob(ge=1)
    batch_size: int = knob(ge=1)
    seed: int = knob(ge=0, lt=2**32)
    deterministic: bool = knob()
    dry_run: bool = knob()
    rerun: bool = knob()
    fallback: Fallback = knob()
    debug: bool = knob()
    outputs: str = knob()


@dataclass
class RunConfig(Knobs):
    """One run, resolved and checked: the knobs, the groups, the sections."""

    task: Any = knob()
    model: ModelConfig = knob()
    adapter: Any = knob()
    precision: Any = knob()
    quantization: Any = knob()
    hardware: HardwareConfig = knob()
    tracking: TrackingConfig = knob()
    train: TrainConfig = knob()
    validation: ValidationConfig = knob()
    checkpoint: CheckpointConfig = knob()


@dataclass(frozen=True)
class Composed:
    """A checked config with what the run's name needs."""

    config: RunConfig
    varied: dict[str, str]
    """what the user changed: group choices and values, as typed"""
    folder: Path | None
    """`hydra.run.dir`, if given"""
    unused: tuple[str, ...]
    """top-level knobs the user set that no chosen part uses"""


def load(overrides: list[str], *, grid: bool = False) -> Composed:
    """Compose and check one run from command-line overrides; UserError names the key, value and what is valid."""
    with _one_line_errors(), _hydra():
        parsed = OverridesParser.create().parse_overrides(overrides)
        groups = group_choices()
        chosen = [o for o in parsed if _group_of(o) in groups]
        for override in chosen:
            _check_choice(override, groups[_group_of(override)])
        base = compose("config", overrides=[str(o.input_line) for o in chosen])
        for override in parsed:
            _check_key(override, base, groups)
        full = compose("config", overrides=overrides)
        OmegaConf.set_struct(full, False)
        run_dir = next((str(o.value()) for o in parsed if o.key_or_group == "hydra.run.dir"), None)
        unused = _unused_knobs(full, parsed)
        config = to_dataclasses(full)
    if unused and not grid:
        key = unused[0]
        raise UserError(f"{key}={getattr(config, key)}: adapter={config.adapter.kind} does not use {key}; "
                        f"leave it out, or choose an adapter that does")  # fmt: skip
    varied = {_group_of(o): str(o.value()) for o in chosen}
    values = (o for o in parsed if o not in chosen and not o.key_or_group.startswith("hydra."))
    varied |= {o.key_or_group: _text(o) for o in values if o.key_or_group not in unused}
    return Composed(config, varied, Path(run_dir) if run_dir else None, unused)


def cells(overrides: list[str]) -> list[Composed]:
    """The cells of a grid, every one checked; cells that differ only in knobs they do not use collapse."""
    with _one_line_errors():
        parsed = OverridesParser.create().parse_overrides(overrides)
        batches = BasicSweeper.split_arguments(parsed, max_batch_size=None)
    composed = [load(list(cell), grid=True) for batch in batches for cell in batch]
    never = set.intersection(*(set(c.unused) for c in composed))
    if never:
        raise UserError(f"{sorted(never)[0]}: no cell of this grid uses it; leave it out")
    unique = {digest(c.config): c for c in reversed(composed)}
    return [c for c in composed if unique.get(digest(c.config)) is c]


def to_dataclasses(full: DictConfig, *, files: bool = True) -> RunConfig:
    """Merge into fresh structured configs, so that an unknown key or a wrong type is refused, then check bounds."""
    sections = {f.name for f in fields(RunConfig)} - {f.name for f in fields(Knobs)}
    for name in map(str, full):
        if str(name) not in {f.name for f in fields(RunConfig)}:
            raise UserError(f"{name}: unknown key; {nearest(str(name), map(str, full))}"
                            f"see python -m gpt2lab --help")  # fmt: skip
    OmegaConf.resolve(full)
    values = _structured(Knobs, {k: v for k, v in full.items() if k not in sections}, "")
    hints = get_type_hints(RunConfig)
    built: dict[str, Any] = {f.name: getattr(values, f.name) for f in fields(Knobs)}
    for name in (f.name for f in fields(RunConfig) if f.name in sections):
        if not isinstance(full.get(name), DictConfig):
            raise UserError(f"{name}={full.get(name)}: must be one of {', '.join(group_choices().get(name, []))}")
        schema = KINDS[name].get(str(full[name].get("kind"))).config if name in KINDS else hints[name]
        built[name] = _structured(schema, dict(full[name].items()), f"{name}.")
    config = RunConfig(**built)
    check_bounds(config, files=files)
    return config


def from_plain(values: dict[str, Any]) -> RunConfig:
    """A finished run's config.yaml as dataclasses again; its data files need not be there any more."""
    with _one_line_errors():
        return to_dataclasses(OmegaConf.create(values), files=False)


def _structured(schema: type, values: dict[Any, Any], prefix: str) -> Any:
    """An instance of the dataclass `schema` from plain values; UserError with the key, value and what is valid."""
    section = OmegaConf.structured(schema)
    types = {f.name: f for f in fields(schema)}
    for key, value in ((str(k), v) for k, v in values.items()):
        if key not in types:
            raise UserError(f"{prefix}{key}: unknown key; {nearest(str(key), types)}valid: {', '.join(types)}")
        try:
            section[key] = value
        except (ValidationError, UnsupportedValueType):
            hint = get_type_hints(schema)[key]
            valid = f"one of {', '.join(m.name for m in hint)}" if isinstance(hint, type) and issubclass(hint, Enum) \
                else expected(str(types[key].type), types[key].metadata.get("bounds"))  # fmt: skip
            raise UserError(f"{prefix}{key}={value}: must be {valid}") from None
    missing = sorted(OmegaConf.missing_keys(section))
    if missing:
        raise UserError(f"{prefix}{missing[0]}: no value given")
    return OmegaConf.to_object(section)


def plain(config: Any) -> dict[str, Any]:
    """A dataclass config as nested plain values (enums by their names), for YAML, JSON and MLflow."""
    return json.loads(json.dumps(asdict(config), default=lambda v: v.name if isinstance(v, Enum) else str(v)))


def digest(config: RunConfig, *identities: str) -> str:
    """Eight hex digits over what determines the result: the config without hardware, tracking and output paths,
    and `identities` (fingerprints of base and data)."""
    values = plain(config)
    text = json.dumps([{k: values[k] for k in RESULT_SECTIONS}, identities], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def _group_of(override: Override) -> str:
    return override.key_or_group.split("@")[0]


def _text(override: Override) -> str:
    value = override.value()
    return "null" if value is None else str(value)


def _check_choice(override: Override, choices: list[str]) -> None:
    group, value = _group_of(override), str(override.value())
    if override.is_delete() or isinstance(override.value(), dict | list):
        raise UserError(f"{override.input_line}: {group} takes one of {', '.join(choices)}")
    if value not in choices:
        raise UserError(f"{group}={value}: no such {group}; {nearest(value, choices)}valid: {', '.join(choices)}")


def _check_key(override: Override, base: DictConfig, groups: dict[str, list[str]]) -> None:
    """Refuse a key that the composed config does not have, naming the nearest one."""
    key = _group_of(override)
    if key in groups or key.startswith("hydra.") or key.startswith("hydra/"):
        return
    valid = list(_leaves(base)) + list(map(str, base))
    if key in valid:
        if isinstance(OmegaConf.select(base, key, throw_on_missing=False), DictConfig):
            raise UserError(f"{override.input_line}: {key} is a section; set one of its keys, "
                            f"e.g. {next(k for k in valid if k.startswith(key + '.'))}=...")  # fmt: skip
        return
    hint = nearest(key, [*valid, *groups])
    section = key.rsplit(".", 1)[0] if "." in key else ""
    siblings = [v for v in valid if v.startswith(section + ".")] if section else [str(k) for k in base]
    raise UserError(f"{override.input_line}: unknown key {key}; {hint}valid: {', '.join(siblings or map(str, base))}")


def _leaves(node: DictConfig, prefix: str = "") -> Iterator[str]:
    for key in node:
        child = node._get_node(key)
        if isinstance(child, DictConfig):
            yield from _leaves(child, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}"


def _unused_knobs(full: DictConfig, parsed: list[Override]) -> tuple[str, ...]:
    """Knobs set by the user that no chosen group refers to (training sections count if the adapter trains)."""
    raw = OmegaConf.to_container(full, resolve=False)
    assert isinstance(raw, dict)
    trains = KINDS["adapter"].get(str(full.adapter.get("kind"))).flags.get("trains", True)
    sections = {k: v for k, v in raw.items()
                if isinstance(v, dict) and (trains or k not in ("train", "validation", "checkpoint"))}  # fmt: skip
    text = json.dumps(sections, default=str)
    varied = ("rank", "lr", "targets", "alpha", "dropout", "epochs", "max_steps", "batch_size")
    return tuple(o.key_or_group for o in parsed
                 if o.key_or_group in varied and f"${{{o.key_or_group}}}" not in text)  # fmt: skip


@contextlib.contextmanager
def _hydra() -> Iterator[None]:
    GlobalHydra.instance().clear()
    with initialize_config_dir(version_base=None, config_dir=str(conf_dir()), job_name="gpt2lab"):
        yield


@contextlib.contextmanager
def _one_line_errors() -> Iterator[None]:
    """Hydra's and OmegaConf's errors as one line of ours."""
    os.environ.setdefault("HYDRA_FULL_ERROR", "1")
    try:
        yield
    except (HydraException, OmegaConfBaseException) as error:
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        kept = [line for line in lines if not line.startswith(("To append", "See https", "Set the env", "object_type"))]
        raise UserError("; ".join(kept[:3])) from error
