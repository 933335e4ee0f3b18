"""The training loop. It asks the schedule for each step's phase and computes none of it itself."""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch.utils.data import DataLoader

from gpt2lab.data.batches import step_batches
from gpt2lab.errors import UserError
from gpt2lab.precision import execute
from gpt2lab.precision.schedule import Schedule
from gpt2lab.schema import nearest
from gpt2lab.task.base import Task
from gpt2lab.train import checkpoint, optim
from gpt2lab.train.stopping import Stopping


@dataclass(frozen=True)
class Pace:
    """When the loop does what, in optimiser steps, counted before it starts."""

    steps: int
    validate_every: int
    checkpoint_every: int | None
    keep: int
    """step checkpoints kept"""
    seed: int


@dataclass
class Outcome:
    """What the loop did so far; a checkpoint keeps it."""

    steps: int = 0
    seconds: float = 0.0
    """of training steps; validating and saving left out"""
    tokens: int = 0
    """useful tokens trained on"""
    stopped_early: bool = False
    phase_seconds: dict[str, float] = field(default_factory=dict)


Row = dict[str, Any]


def run(model: torch.nn.Module, task: Task, features: Any, schedule: Schedule, config: optim.TrainConfig, pace: Pace,
        stopping: Stopping, folder: Path, device: str, *, validate: Callable[[], dict[str, float]], workers: int = 0,
        report: Callable[[Row], None] = lambda row: None) -> Outcome:  # fmt: skip
    """Train to `pace.steps` or until `stopping` says so; leave the best validated weights in the model.

    Resumes from the newest whole checkpoint under `folder/checkpoints`. Writes `history.jsonl`, one line a step.
    `validate` evaluates the validation part and returns its figures; `report` gets each history row.

    Raises:
        UserError: the loss is not finite (with step, examples and the last good checkpoint); the metric of `stopping`
            is none of the task's; checkpoints that are damaged or of another adapter.
    """
    from accelerate import Accelerator
    from accelerate.state import AcceleratorState

    check_metric(stopping.metric, task)
    AcceleratorState._reset_state(reset_partial_state=True)  # a job before this one in the process fixed its device
    # phases own their autocast; the model is on `device` already, which may be cuda:1
    accelerator = Accelerator(mixed_precision="no", cpu=device == "cpu", device_placement=False)
    optimizer, scheduler = optim.build(model, config, pace.steps)
    model, optimizer = accelerator.prepare(model, optimizer)
    checkpoints, history_path = folder / "checkpoints", folder / "history.jsonl"
    outcome = _resume(checkpoints, model, optimizer.optimizer, scheduler, stopping)
    _cut_history(history_path, outcome.steps)

    planned = list(step_batches(features["length"][:], config.batch_size, config.accumulation_steps, pace.seed,
                                outcome.steps, outcome.steps if outcome.stopped_early else pace.steps))  # fmt: skip
    loader = iter(DataLoader(features, batch_sampler=[b for step in planned for b in step], collate_fn=task.collate,
                             num_workers=workers, pin_memory=device != "cpu"))  # fmt: skip
    useful = features["useful"][:]
    model.train()

    with history_path.open("a", encoding="utf-8") as history:
        for batches in planned:
            began, step = time.perf_counter(), outcome.steps
            torch.manual_seed(pace.seed * 1_000_003 + step)  # dropout is a function of the step: resume is exact
            phase = schedule(step)
            tensors = [{k: v.to(device, non_blocking=True) for k, v in next(loader).items()} for _ in batches]

            # the loss of a step is the mean over its supervised items, however it is cut into batches
            items = sum(task.items(batch) for batch in tensors)
            loss = torch.zeros((), device=device)
            for batch in tensors:
                with execute.context(phase.precision, device):
                    part = task.loss(model, batch) / items
                accelerator.backward(part)
                loss += part.detach()

            norms = _layer_norms(model) if config.grad_norms else {}
            norm = accelerator.clip_grad_norm_(model.parameters(), config.clip or float("inf"))
            row: Row = {
                "step": step + 1, "loss": loss.item(), "lr": scheduler.get_last_lr()[0], "grad_norm": float(norm),
                "precision": phase.precision, "executed": execute.executed(phase.precision),
                "tokens": sum(useful[i] for b in batches for i in b), **norms,
            }  # fmt: skip
            if not (math.isfinite(row["loss"]) and math.isfinite(row["grad_norm"])):
                raise UserError(_not_finite(row, features, batches, checkpoints))
            optimizer.step()
            scheduler.step()
            optimizer.zero_grad()

            row["seconds"] = time.perf_counter() - began
            outcome.steps, outcome.tokens = step + 1, outcome.tokens + row["tokens"]
            outcome.seconds += row["seconds"]
            spent = outcome.phase_seconds
            spent[row["executed"]] = spent.get(row["executed"], 0.0) + row["seconds"]

            due = outcome.steps % pace.validate_every == 0 or outcome.steps == pace.steps
            if due:  # the validation part alone decides what is best and when to stop
                figures = validate()
                row |= {f"validation/{k}": v for k, v in figures.items()}
                if stopping.update(figures[stopping.metric], outcome.steps):
                    value = {"step": outcome.steps, "value": stopping.best}
                    checkpoint.save(checkpoints, checkpoint.BEST, model, None, value)
                outcome.stopped_early = stopping.exhausted and outcome.steps < pace.steps

            history.write(_line(row))
            history.flush()
            report(row)
            last = outcome.stopped_early or outcome.steps == pace.steps  # scoring comes after: it must not cost the run
            if pace.checkpoint_every and (last or outcome.steps % pace.checkpoint_every == 0):
                state = {"step": outcome.steps, "scheduler": scheduler.state_dict(), "stopping": stopping.state(),
                         "outcome": asdict(outcome)}  # fmt: skip
                checkpoint.save(checkpoints, checkpoint.step_name(outcome.steps), model, optimizer.optimizer, state)
                checkpoint.prune(checkpoints, pace.keep)
            if outcome.stopped_early:
                break
    if stopping.best_step is not None:  # the figures go with the weights, should a resumed run have found others
        best = checkpoint.restore(checkpoints / checkpoint.BEST, model, None)
        stopping.best, stopping.best_step = best["value"], best["step"]
    return outcome


def check_metric(metric: str, task: Task) -> None:
    """UserError unless the metric that selects is the loss or one of the task's figures."""
    valid = ("loss", *task.metrics)
    if metric not in valid:
        raise UserError(f"validation.metric={metric}: not a figure of task={task.name}; {nearest(metric, valid)}"
                        f"valid: {', '.join(valid)}")  # fmt: skip


def _resume(checkpoints: Path, model: torch.nn.Module, optimizer: torch.optim.Optimizer, scheduler: Any,
            stopping: Stopping) -> Outcome:  # fmt: skip
    """Take up the newest whole checkpoint, if there is one."""
    checkpoint.tidy(checkpoints)
    saved = checkpoint.newest(checkpoints)
    if saved is None:
        return Outcome()
    state = checkpoint.restore(saved, model, optimizer)
    scheduler.load_state_dict(state["scheduler"])
    stopping.restore(state["stopping"])
    if stopping.best_step is not None and not checkpoint.is_whole(checkpoints / checkpoint.BEST):
        raise UserError(f"{checkpoints / checkpoint.BEST}: the best weights so far are damaged or gone, so this run "
                        "cannot be finished; rerun=true begins anew")  # fmt: skip
    return Outcome(**state["outcome"])


def _cut_history(path: Path, steps: int) -> None:
    """Drop lines after the resumed step, so that each step stands once."""
    if path.exists():
        temporary = path.with_name(f".{path.name}.partial")
        lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
        temporary.write_text("".join(lines[:steps]), encoding="utf-8")
        os.replace(temporary, path)


def _line(row: Row) -> str:
    """A line of history.jsonl; figures that are not finite become null, since JSON has no word for them."""
    odd = {k: None for k, v in row.items() if isinstance(v, float) and not math.isfinite(v)}
    return json.dumps(row | odd, allow_nan=False) + "\n"


def _layer_norms(model: torch.nn.Module) -> dict[str, float]:
    """Gradient norm of every trainable tensor, before clipping."""
    return {f"grad_norm/{n}": p.grad.norm().item() for n, p in model.named_parameters() if p.grad is not None}


def _not_finite(row: Row, features: Any, batches: list[list[int]], checkpoints: Path) -> str:
    examples = sorted({features[i]["example"] for b in batches for i in b})
    best = checkpoints / checkpoint.BEST
    last = checkpoint.newest(checkpoints) or (best if checkpoint.is_whole(best) else None)
    return (f"step {row['step']}: loss {row['loss']}, gradient norm {row['grad_norm']} at {row['executed']}, examples "
            f"{', '.join(map(str, examples))} of the training part; last good checkpoint: {last or 'none'}; "
            "try a smaller lr or precision=fp32")  # fmt: skip
