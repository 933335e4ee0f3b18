"""From what the user typed to checked dataclasses: the only file that sees a DictConfig."""

from __future__ import annotations

import contextlib
import copy
import functools
import hashlib
import json
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_type_hints

from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override, OverrideType
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException, ValidationError
from yaml import YAMLError

from gpt2lab import adapter, precision, quantization, task
from gpt2lab.errors import UserError
from gpt2lab.helptext import conf_dir, group_choices
from gpt2lab.schema import Fallback, absolute_paths, check_bounds, expected, knob, nearest, shown

if TYPE_CHECKING:
    from gpt2lab import hardware, tracking
    from gpt2lab.model import base
    from gpt2lab.train import checkpoint, optim, stopping

KINDS = {"task": task.kinds, "adapter": adapter.kinds, "precision": precision.kinds,
         "quantization": quantization.kinds}  # fmt: skip
RESULT = ("task", "model", "adapter", "precision", "quantization", "train", "validation", "seed", "deterministic")
IDENTIFIED = ("train_file", "eval_file", "hub_revision", "name", "path", "revision", "tokenizer")
PARTIAL = ("rank", "lr", "targets", "alpha", "dropout", "epochs", "max_steps", "batch_size")  # not every part uses them


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
    model: base.ModelConfig = knob()
    adapter: Any = knob()
    precision: Any = knob()
    quantization: Any = knob()
    hardware: hardware.HardwareConfig = knob()
    tracking: tracking.TrackingConfig = knob()
    train: optim.TrainConfig = knob()
    validation: stopping.ValidationConfig = knob()
    checkpoint: checkpoint.CheckpointConfig = knob()


@dataclass(frozen=True)
class Composed:
    """A checked config with what the run's name needs."""

    config: RunConfig
    varied: dict[str, str]
    """what the user changed: group choices and values"""
    folder: Path | None
    """`hydra.run.dir`, if given"""
    unused: tuple[str, ...]
    """top-level knobs the user set that no chosen part uses"""


def load(overrides: list[str], *, grid: bool = False) -> Composed:
    """Compose and check one run from command-line overrides.

    UserError names the key, the value and what is valid; nothing was written or started. In a `grid` a knob that no
    chosen part uses is no error: the cell lists it as `unused`.
    """
    full, folder, parsed = check_overrides(overrides)
    unused = _unused(full, parsed)
    if unused and not grid:
        knobs = {o.key_or_group: o for o in parsed}
        taken = next((f"; {k} takes its place" for k in knobs if k.endswith(f".{unused[0]}")), "")
        raise UserError(f"{knobs[unused[0]].input_line}: no part of this run uses {unused[0]} "
                        f"(adapter={full.adapter.kind}){taken}; leave it out")  # fmt: skip
    typed = (o for o in parsed if o.key_or_group not in unused and not o.is_hydra_override())
    varied = {o.key_or_group: shown(o.value()) for o in typed}
    return Composed(to_dataclasses(full), varied, folder, unused)


def parse(words: list[str]) -> list[Override]:
    """Command-line words in Hydra's grammar; UserError for one that cannot be read."""
    parser, parsed = OverridesParser.create(), []
    for word in words:
        key, equals, _ = word.partition("=")
        if not key.strip("+~") or not (equals or word.startswith("~")):
            raise UserError(f"{word}: not of the form key=value (no spaces around =; a verb comes first)")
        try:
            parsed.append(parser.parse_override(word))
        except (HydraException, RecursionError):
            raise UserError(f"{word}: cannot be read; close quotes and brackets, and give a value with special "
                            f"characters quotes of its own: '{key}=\"...\"'") from None  # fmt: skip
    return parsed


def check_overrides(overrides: list[str]) -> tuple[DictConfig, Path | None, list[Override]]:
    """The composed config, unresolved, `hydra.run.dir` and the parsed words; UserError for a wrong key or choice."""
    parsed = parse(overrides)
    seen: dict[str, Override] = {}
    for override in parsed:
        key = override.key_or_group
        if override.is_sweep_override():
            raise UserError(f"{override.input_line}: several values need --multirun (a list is written {key}=[a,b])")
        if (first := seen.setdefault(key, override)) is not override:
            raise UserError(f"{key}: given twice ({first.input_line}, {override.input_line})")
    groups = group_choices()
    chosen = [o for o in parsed if o.key_or_group in groups]
    for override in chosen:
        _check_choice(override, groups[override.key_or_group])
    values = [o for o in parsed if o not in chosen]
    folder, recipe = None, next((f"{o.input_line}: " for o in chosen if o.is_add()), "")
    with one_line_errors(recipe):
        full = copy.deepcopy(_composed(str(conf_dir()), tuple(str(o.input_line) for o in chosen)))
    keys = _leaves(OmegaConf.to_container(full, resolve=False))
    for override in values:
        _check_key(override, keys, groups)
        with one_line_errors(f"{override.input_line}: "):
            OmegaConf.update(full, override.key_or_group, override.value(), merge=False)
    for override in values:  # once all are in place, since one may refer to another
        with one_line_errors(f"{override.input_line}: "):
            value = OmegaConf.select(full, override.key_or_group)
        if value in (None, "") and (override.is_hydra_override() or override.value() not in (None, "")):
            raise UserError(f"{override.input_line}: no value given")
        if override.is_hydra_override():
            folder = Path(os.path.expanduser(shown(value)))
    full.pop("hydra", None)
    return full, folder, parsed


@functools.lru_cache(maxsize=64)
def _composed(conf: str, words: tuple[str, ...]) -> DictConfig:
    """The YAML of these choices; kept, since most cells of a grid share theirs."""
    GlobalHydra.instance().clear()
    with initialize_config_dir(conf, job_name="gpt2lab", version_base=None):
        full = compose("config", overrides=list(words))
    OmegaConf.set_struct(full, False)
    return full


def to_dataclasses(full: DictConfig, *, files: bool = True) -> RunConfig:
    """Merge into fresh structured configs, so that an unknown key or a wrong type is refused, then check bounds."""
    knobs, known = {f.name for f in fields(Knobs)}, [f.name for f in fields(RunConfig)]
    with one_line_errors():
        values = OmegaConf.to_container(full, resolve=True)
    assert isinstance(values, dict)
    for name in map(str, values):
        if name not in known:
            raise UserError(f"{name}: unknown key; {nearest(name, known)}see python -m gpt2lab --help")
    built = vars(_structured(Knobs, {k: v for k, v in values.items() if k in knobs}, ""))
    for name in (n for n in known if n not in knobs):
        section = values.get(name)
        if not isinstance(section, dict):
            raise UserError(f"{name}={shown(section)}: must be a section of keys")
        built[name] = _structured(_schema(name, section), section, f"{name}.")
    check_bounds(config := RunConfig(**built), files=files)
    absolute_paths(config.task)
    absolute_paths(config.model)
    return config


def from_plain(values: dict[str, Any]) -> RunConfig:
    """A finished run's config.yaml as dataclasses again; its data files need not be there any more."""
    return to_dataclasses(OmegaConf.create(values), files=False)


def plain(config: Any) -> dict[str, Any]:
    """A dataclass config as nested plain values (enums by their names), for YAML, JSON and MLflow."""
    return json.loads(json.dumps(asdict(config), default=lambda v: v.name if isinstance(v, Enum) else str(v)))


def digest(config: RunConfig, *identities: str) -> str:
    """Eight hex digits over what determines the result: the config without hardware, tracking and output paths, and
    `identities` (fingerprints of base and data), which stand for the names and paths they were found by."""
    values = _effective(plain(config))
    for section in ("task", "model") if identities else ():
        values[section] = {k: v for k, v in values[section].items() if k not in IDENTIFIED}
    text = json.dumps([values, identities], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def _effective(values: dict[str, Any]) -> dict[str, Any]:
    """The part of a plain config that has an effect on the result: not whether a substitute is allowed, and where
    nothing trains not what steers training."""
    trains = KINDS["adapter"].get(str(values["adapter"]["kind"])).flags.get("trains", True)
    idle = () if trains else ("train", "validation", "model.dropout", "precision.precision")
    sections = {name: values[name] for name in RESULT if name not in idle}
    return {name: {k: v for k, v in section.items() if k != "fallback" and f"{name}.{k}" not in idle}
            if isinstance(section, dict) else section for name, section in sections.items()}  # fmt: skip


def _unused(full: DictConfig, parsed: list[Override]) -> tuple[str, ...]:
    """Knobs set by the user that no chosen part refers to."""
    raw: Any = OmegaConf.to_container(full, resolve=False)
    text = json.dumps(_effective(raw), default=str)
    return tuple(k for k in (o.key_or_group for o in parsed) if k in PARTIAL and f"${{{k}}}" not in text)


def _schema(section: str, values: dict[Any, Any]) -> type:
    """The dataclass of a section. Imported here: these modules import torch, which `--cfg` does without."""
    if section in KINDS:
        return KINDS[section].get(str(values.get("kind"))).config
    from gpt2lab import hardware, tracking
    from gpt2lab.model import base
    from gpt2lab.train import checkpoint, optim, stopping

    return {"model": base.ModelConfig, "hardware": hardware.HardwareConfig, "tracking": tracking.TrackingConfig,
            "train": optim.TrainConfig, "validation": stopping.ValidationConfig,
            "checkpoint": checkpoint.CheckpointConfig}[section]  # fmt: skip


def _structured(schema: type, values: dict[Any, Any], prefix: str) -> Any:
    """An instance of the dataclass `schema` from plain values; UserError with the key, value and what is valid."""
    section, hints = OmegaConf.structured(schema), get_type_hints(schema)
    for key, value in ((str(k), v) for k, v in values.items()):
        if key not in hints:
            raise UserError(f"{prefix}{key}: unknown key; {nearest(key, hints)}valid: {', '.join(hints)}")
        try:
            if hints[key] is Any and not isinstance(value, str | list):
                raise ValidationError
            section[key] = value
        except OmegaConfBaseException:
            raise UserError(f"{prefix}{key}={shown(value)}: must be {expected(schema, key)}") from None
    for missing in sorted(OmegaConf.missing_keys(section)):
        raise UserError(f"{prefix}{missing}: no value given")
    return OmegaConf.to_object(section)


def _check_choice(override: Override, choices: list[str]) -> None:
    group, word, value = override.key_or_group, override.input_line, override.value()
    plus = "+" if group == "experiment" else ""
    if override.type is not (OverrideType.ADD if plus else OverrideType.CHANGE) or override.package:
        raise UserError(f"{word}: write {plus}{group}=...; valid: {', '.join(choices)}")
    if shown(value) not in choices:
        raise UserError(f"{word}: no such {group}; {nearest(shown(value), choices)}valid: {', '.join(choices)}")


def _check_key(override: Override, keys: list[str], groups: dict[str, list[str]]) -> None:
    """Refuse a key that the composed config does not have, naming the nearest one."""
    key, word = override.key_or_group, override.input_line
    section, _, name = key.rpartition(".")
    sections = list(dict.fromkeys(k.rpartition(".")[0] for k in keys if "." in k))
    if override.is_hydra_override() and key != "hydra.run.dir":
        raise UserError(f"{word}: of Hydra's own settings only hydra.run.dir is read")
    if override.is_delete():
        raise UserError(f"{word}: a key cannot be removed; give it a value")
    if key in sections:
        example = next(k for k in keys if k.startswith(f"{key}.") and k != f"{key}.kind")
        raise UserError(f"{word}: {key} is a section; set one of its keys, e.g. {example}=...")
    if name == "kind" and section in groups:
        raise UserError(f"{word}: write {section}=...; valid: {', '.join(groups[section])}")
    if (key not in keys and key != "hydra.run.dir") or override.package:
        top = [k for k in keys if "." not in k] + sorted({*groups, *sections})
        valid = [k for k in keys if section and k.startswith(f"{section}.")] or top
        raise UserError(f"{word}: unknown key {key}; {nearest(key, [*keys, *top])}valid: {', '.join(valid)}")
    if override.is_add():
        raise UserError(f"{word}: {key} is there already; leave out the +")


def _leaves(node: Any, prefix: str = "") -> list[str]:
    """Dotted keys of the values in a nested dict."""
    if not isinstance(node, dict):
        return [prefix]
    return [leaf for key, value in node.items() for leaf in _leaves(value, f"{prefix}.{key}" if prefix else str(key))]


@contextlib.contextmanager
def one_line_errors(prefix: str = "") -> Iterator[None]:
    """Errors of Hydra, OmegaConf and the YAML of a recipe as one line of ours."""
    os.environ.setdefault("HYDRA_FULL_ERROR", "1")
    try:
        yield
    except (HydraException, OmegaConfBaseException, YAMLError, RecursionError, OSError, UnicodeDecodeError) as error:
        noise = ("To append", "See https", "Set the env", "object_type", "full_key")
        lines = [line for line in map(str.strip, str(error).splitlines()) if line and not line.startswith(noise)]
        raise UserError(prefix + "; ".join(lines[:3])) from error
