"""Train a prepared run, score it once, and write its files."""

from __future__ import annotations

import resource
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from gpt2lab import plan, precision, runs, tracking
from gpt2lab.adapter.base import Adapted
from gpt2lab.config import RunConfig
from gpt2lab.evaluate import Evaluation, evaluate, with_intervals
from gpt2lab.hardware import Hardware
from gpt2lab.model import base as models
from gpt2lab.progress import Progress, say
from gpt2lab.task.base import Splits, Task
from gpt2lab.train import loop
from gpt2lab.train.stopping import Stopping


@dataclass(frozen=True)
class Prepared:
    """A run that is ready to start; nothing is written yet."""

    config: RunConfig
    hardware: Hardware
    base: models.Base
    task: Task
    splits: Splits
    model: torch.nn.Module
    adapted: Adapted
    features: dict[str, Any]
    plan: plan.Plan


def train_and_score(prepared: Prepared, folder: Path, tracker: tracking.Tracker) -> dict[str, Any]:
    """Train, evaluate once, write the run's files; metrics.json comes last."""
    config, device = prepared.config, prepared.hardware.device
    outcome, stopping = loop.Outcome(), Stopping(config.validation)
    if prepared.plan.steps:
        outcome = train(prepared, stopping, folder, tracker)
    final = score(prepared, "evaluation", "evaluating")
    (folder / "adapter").mkdir(exist_ok=True)
    prepared.adapted.save(folder / "adapter")
    predictions = {k: v[0]["text"] if v else "" for k, v in final.predictions.items()} \
        if prepared.task.objective == "span" else final.predictions  # fmt: skip
    runs.write_json(folder / "predictions.json", predictions)
    metrics: dict[str, Any] = with_intervals(final, "eval") | {
        "params/trainable": prepared.plan.trainable, "params/total": prepared.plan.total,
        "train/steps": outcome.steps, "train/seconds": outcome.seconds, "train/tokens": outcome.tokens,
        "train/tokens_per_second": outcome.tokens / outcome.seconds if outcome.seconds else 0.0,
        "train/stopped_early": outcome.stopped_early,
        **{f"train/seconds_{name}": spent for name, spent in outcome.phase_seconds.items()},
        **({"validation/best_step": stopping.best_step, f"validation/best_{stopping.metric}": stopping.best}
           if stopping.best_step is not None else {}),
        "memory/peak_bytes": peak_bytes(device), **(prepared.adapted.details or {}),
        **{f"data/{problem}": count for problem, count in prepared.splits.problems.items()},
        "base": prepared.base.label, "data": prepared.splits.source.label,
    }  # fmt: skip
    runs.write_json(folder / "metrics.json", metrics)
    return metrics


def train(prepared: Prepared, stopping: Stopping, folder: Path, tracker: tracking.Tracker) -> loop.Outcome:
    """The loop, with its progress shown and its rows sent to the tracker."""
    config, planned = prepared.config, prepared.plan
    schedule = precision.kinds.get(config.precision.kind).build(config.precision, planned.steps)
    pace = loop.Pace(
        planned.steps, planned.validate_every, config.checkpoint.every, config.checkpoint.keep, config.seed
    )
    progress = Progress("training", planned.steps)

    def validate() -> dict[str, float]:
        found = score(prepared, "validation", "validating")
        return {"loss": found.loss, **found.scores.metrics}

    def report(row: loop.Row) -> None:
        figures = {k: v for k, v in row.items() if k.startswith("validation/")}
        tracker.log({k if "/" in k else f"train/{k}": v for k, v in row.items()
                     if isinstance(v, int | float) and k != "step"}, row["step"])  # fmt: skip
        if not progress.done:  # a resumed run begins where it was
            progress.done = progress.first = row["step"] - 1
        progress.advance(row["step"] - progress.done, loss=row["loss"], lr=row["lr"])
        if figures:
            say(f"step {row['step']:,}: " + ", ".join(f"{k} {v:.4g}" for k, v in figures.items()))

    with progress:
        return loop.run(prepared.adapted.model, prepared.task, prepared.features["train"], schedule, config.train, pace,
                        stopping, folder, prepared.hardware.device, validate=validate, report=report,
                        workers=prepared.hardware.workers)  # fmt: skip


def score(prepared: Prepared, part: str, label: str) -> Evaluation:
    """Evaluate one part at the run's evaluation precision."""
    features, config = prepared.features[part], prepared.config
    with Progress(label, len(features), unit="feature") as progress:
        return evaluate(
            prepared.adapted.model, prepared.task, features, getattr(prepared.splits, part),
            precision=config.precision.eval.name, device=prepared.hardware.device,
            batch_tokens=config.task.eval_batch_tokens, progress=progress.advance,
        )  # fmt: skip


def peak_bytes(device: str) -> int:
    """Peak memory so far: of the GPU's allocator on CUDA, else the process's resident set (KiB on Linux)."""
    if device.startswith("cuda"):
        return torch.cuda.max_memory_allocated(device)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
