"""The whole story of one run: find base and data, plan, train, evaluate, keep."""

from __future__ import annotations

import json
import sys
from collections import Counter
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
import yaml

from gpt2lab import adapter, fit, plan, quantization, runs, task, tracking
from gpt2lab.adapter.base import Adapted, target_modules, total_parameters, trainable_parameters
from gpt2lab.config import Composed, RunConfig, digest, plain
from gpt2lab.errors import UserError
from gpt2lab.hardware import Hardware, setup
from gpt2lab.model import base as models
from gpt2lab.model.tokenizer import tokenizer_of
from gpt2lab.precision.schedule import resolve
from gpt2lab.progress import say
from gpt2lab.task.base import Splits, Task
from gpt2lab.tracking_uri import tracking_uri, without_credentials
from gpt2lab.train import loop

PARTS = ("train", "validation", "evaluation")


@dataclass
class Session:
    """What the jobs of one command share: which base stands for which config is decided once."""

    bases: dict[str, models.Base] = field(default_factory=dict)
    announced: set[str] = field(default_factory=set)
    parent_id: str | None = None
    tags: dict[str, str] = field(default_factory=dict)


def run(composed: Composed, session: Session | None = None) -> dict[str, Any]:
    """Do one run, or find it done; returns its metrics (the plan's, for `dry_run`).

    Raises:
        UserError: anything in the config, the data or the machine that the user can mend.
    """
    session = session or Session()
    config, hardware, base, built, splits = find_parts(composed.config, session)
    identity = digest(config, base.label, base.weights_id, base.tokenizer_id, splits.source.fingerprint)
    name = runs.run_name(base.label, splits.source.label, config.adapter.kind, composed.varied, identity)
    root = runs.outputs_folder(config.outputs) / config.task.kind
    folder = composed.folder or runs.find_or_name(root, name, identity, config.rerun)
    if composed.folder and config.rerun and folder.exists():
        raise UserError(f"rerun=true hydra.run.dir={folder}: is there already; give another folder")
    if runs.is_finished(folder) and not config.dry_run:
        _refuse_other_run(folder, identity)
        say(f"finished before, nothing to do (rerun=true begins anew): {folder}")
        return _show(folder)

    prepared = prepare(config, hardware, base, built, splits)
    for line in prepared.plan.lines():
        say(line)
    if composed.config.model.name == "auto" and base.kind == "hub" and hardware.device == "cpu":
        say("a quick start, about two minutes on the bundled base: python -m gpt2lab +experiment=squad_mini")
    if config.dry_run:
        say("dry_run=true: nothing was started")
        return {"params/trainable": prepared.plan.trainable, "params/total": prepared.plan.total}

    state = _open(folder, prepared, identity, given=composed.folder is not None)
    say(f"run: {folder}")
    info = _tracking_info(prepared, folder.name, session)
    outputs = runs.outputs_folder(config.outputs)
    tracking.ensure_store(config.tracking, outputs)
    with runs.locked(folder), tracking.open_tracker(config.tracking, outputs, info, run_id=state.get("mlflow_run_id"),
                               parent_id=session.parent_id, warn=say) as tracker:  # fmt: skip
        runs.write_json(folder / "environment.json", state | {"mlflow_run_id": tracker.run_id})
        metrics = fit.train_and_score(prepared, folder, tracker)
        tracker.log({k: v for k, v in metrics.items() if isinstance(v, int | float)}, int(metrics["train/steps"]))
        tracker.log_files(folder, skip=("checkpoints", runs.LOCK))
    return _show(folder)


def find_parts(config: RunConfig, session: Session) -> tuple[RunConfig, Hardware, models.Base, Task, Splits]:
    """Resolve what the config leaves open (hardware, precision, base, data) and announce every substitute."""
    hardware = setup(config.hardware, config.deterministic)
    base = find_base(config, session)
    announce(session, base.note)
    check(config, base)
    config = replace(config, model=pinned(config.model, base))
    chosen = replace(config.precision, precision=resolve(config.precision.precision, hardware.native))
    config = replace(config, precision=chosen)
    built = task.kinds.get(config.task.kind).build(config.task)
    splits = built.load(real_base=base.kind in ("hub", "path"), fraction=config.validation.fraction,
                        max_validation=config.validation.max_examples)  # fmt: skip
    for note in splits.source.notes:
        announce(session, note)
    announce(session, hardware.line())
    asked = chosen.precision.name
    if asked not in hardware.native:
        announce(session, f"precision={asked}: not native here, it is executed but slower than fp32")
    return config, hardware, base, built, splits


def find_base(config: RunConfig, session: Session) -> models.Base:
    """The base, decided once a command."""
    key = json.dumps(plain(config.model), sort_keys=True)
    if key not in session.bases:
        session.bases[key] = models.resolve(config.model)
    return session.bases[key]


def pinned(config: models.ModelConfig, base: models.Base) -> models.ModelConfig:
    """The config that means this base from now on: `auto` and an open revision are decided once, and recorded."""
    name = base.name if config.name == "auto" and config.path is None else config.name
    numbers: dict[str, Any] = {} if base.kind == "random" else dict.fromkeys(models.NUMBERS)
    return replace(config, name=name, revision=base.revision, **numbers)


def check(config: RunConfig, base: models.Base) -> None:
    """What can be known before data are read; the adapter is tried on a skeleton without weights.

    Raises:
        UserError: an adapter that does not fit, a target that matches nothing, a metric the task does not have, a part
            that is no number of steps, a window longer than the model, a tracking URI that MLflow does not know.
    """
    built = task.kinds.get(config.task.kind).build(config.task)
    loop.check_metric(config.validation.metric, built)
    plan.validation_interval(config.validation, 1)
    tracking_uri(config.tracking, runs.outputs_folder(config.outputs))
    skeleton: Any = models.skeleton(base, config.model, built.objective)
    if built.longest > skeleton.config.n_positions:
        raise UserError(
            f"task.{built.longest_key}={built.longest}: this model has {skeleton.config.n_positions} positions"
        )
    chosen = adapter.kinds.get(config.adapter.kind)
    if chosen.flags.get("targets"):
        target_modules(skeleton, config.adapter.targets)
    else:
        chosen.build(skeleton, config.adapter, built.objective)


def prepare(config: RunConfig, hardware: Hardware, base: models.Base, built: Task, splits: Splits) -> fit.Prepared:
    """Build model, adapter and features, check that they fit, and derive the plan."""
    model = models.load(base, config.model, built.objective, config.seed)
    tokenizer = tokenizer_of(base.tokenizer, base.tokenizer_id, model.config.n_positions)
    parts = {n: getattr(splits, n) for n in PARTS}
    trains = adapter.kinds.get(config.adapter.kind).flags.get("trains", True)
    if trains and len(splits.train) == 0:
        raise UserError(f"adapter={config.adapter.kind} needs training data: give task.train_file=..., or adapter=none")
    wanted = {n: p for n, p in parts.items() if len(p) and (trains or n == "evaluation")}
    features = {n: built.encode(p, tokenizer, training=n == "train") for n, p in wanted.items()}
    lost = sum((Counter(built.problems(f)) for f in features.values()), Counter(splits.problems))
    splits = replace(splits, problems=dict(lost))
    model = quantization.kinds.get(config.quantization.kind).build(model, config.quantization)
    torch.manual_seed(config.seed)  # the adapter's own initialisation
    adapted = adapter.kinds.get(config.adapter.kind).build(model, config.adapter, built.objective)
    trainable = trainable_parameters(adapted.model)
    if trainable != adapted.expected:
        raise AssertionError(f"adapter={config.adapter.kind}: {trainable:,} parameters are trainable, its formula "
                             f"gives {adapted.expected:,}")  # fmt: skip
    adapted.model.to(hardware.device)
    return fit.Prepared(config, hardware, base, built, splits, model, adapted, features,
                    _plan(config, base, splits, adapted, features, hardware, trains))  # fmt: skip


def _plan(config: RunConfig, base: models.Base, splits: Splits, adapted: Adapted, features: dict[str, Any],
          hardware: Hardware, trains: bool) -> plan.Plan:  # fmt: skip
    trainable, total = adapted.expected, total_parameters(adapted.model)
    train = features.get("train")
    steps = plan.count_steps(config.train, len(train)) if trains and train is not None else 0
    lengths = train["length"][:] if train is not None else []
    tokens = steps * config.train.batch_size * config.train.accumulation_steps * (sum(lengths) / max(1, len(lengths)))
    width = plan.typical_width(lengths)
    return plan.Plan(
        base=base.label, data=splits.source.label, trainable=trainable, total=total,
        examples={n: len(getattr(splits, n)) for n in PARTS}, features={n: len(features.get(n, ())) for n in PARTS},
        problems=splits.problems, steps=steps,
        validate_every=plan.validation_interval(config.validation, max(1, steps)),
        phases=f"{config.precision.precision.name} throughout, evaluated at {config.precision.eval.name}",
        checkpoint_bytes=3 * plan.BYTES * trainable,
        memory_bytes=plan.memory_estimate(adapted.model, trainable, config.train.batch_size, width),
        seconds=plan.seconds_estimate(total, trainable, int(tokens), hardware.device),
    )  # fmt: skip


def _open(folder: Path, prepared: fit.Prepared, identity: str, *, given: bool) -> dict[str, Any]:
    """Make the run's folder, or take up an unfinished one of the same identity; returns environment.json's content."""
    config, base = prepared.config, prepared.base
    command = [without_credentials(word) for word in sys.argv[1:]]
    state = runs.environment(prepared.hardware.record(), config.seed, command) | {
        "identity": identity, "weights_id": base.weights_id, "tokenizer_id": base.tokenizer_id}  # fmt: skip
    previous = folder / "environment.json"
    if previous.exists():
        _refuse_other_run(folder, identity)
        say("begun before and not finished: going on from its newest checkpoint, if it has one")
        return state | {"mlflow_run_id": runs.read_json(previous).get("mlflow_run_id")}
    if given and (folder / "config.yaml").exists():
        raise UserError(f"hydra.run.dir={folder}: holds a config.yaml that is not a run's; give another folder")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        runs.write_json(previous, state)
        values = plain(config)
        values["tracking"]["uri"] = values["tracking"]["uri"] and without_credentials(values["tracking"]["uri"])
        (folder / "config.yaml").write_text(yaml.safe_dump(values, sort_keys=False), encoding="utf-8")
    except OSError as error:
        raise UserError(f"outputs={config.outputs}: cannot write {folder} ({error.strerror})") from error
    return state


def _refuse_other_run(folder: Path, identity: str) -> None:
    """A given folder that holds another run is not overwritten."""
    environment = folder / "environment.json"
    found = runs.read_json(environment).get("identity") if environment.exists() else None
    if found != identity:
        raise UserError(f"hydra.run.dir={folder}: holds another run ({found or 'without environment.json'}, this one "
                        f"is {identity}); give another folder")  # fmt: skip


def _tracking_info(prepared: fit.Prepared, name: str, session: Session) -> tracking.RunInfo:
    config, splits, git = prepared.config, prepared.splits, runs.git_state()
    tags = {
        "task": config.task.kind, "adapter": config.adapter.kind, "precision": config.precision.precision.name,
        "quantization": config.quantization.kind, "base": prepared.base.label, "data": splits.source.label,
        "git_commit": str(git["commit"]), "git_dirty": str(git["dirty"]).lower(), **session.tags,
    }  # fmt: skip
    parts = {n: getattr(splits, n) for n in PARTS}
    datasets = [tracking.DatasetInfo(config.task.kind, part, f"{splits.source.fingerprint}-{part}", splits.source.label,
                                     len(rows)) for part, rows in parts.items()]  # fmt: skip
    return tracking.RunInfo(name, tracking.flatten(plain(config)), tags, datasets)


def announce(session: Session, line: str) -> None:
    if line and line not in session.announced:
        session.announced.add(line)
        say(line)


def _show(folder: Path) -> dict[str, Any]:
    """Print a finished run's figures; returns its metrics."""
    metrics = runs.read_json(folder / "metrics.json")
    say(f"base {metrics['base']}, data {metrics['data']}")
    for name in [k for k in metrics if k.startswith("eval/") and f"{k}_low" in metrics]:
        say(f"{name} {metrics[name]:.2f} (95 % interval {metrics[name + '_low']:.2f} to {metrics[name + '_high']:.2f}, "
            f"n = {metrics['eval/n']:,})")  # fmt: skip
    others = ("eval/perplexity", "eval/bits_per_byte", "eval/loss", "train/steps", "train/seconds",
              "train/tokens_per_second")  # fmt: skip
    say(", ".join(f"{k} {metrics[k]:,.4g}" for k in others if k in metrics))
    say(f"files: {folder}")
    return metrics
