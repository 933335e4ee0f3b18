"""Training speed on this machine, beside Hugging Face's Trainer with PEFT on the same examples.

    python -m gpt2lab.bench [model=mini|124m] [steps=20] [batch_size=8] [rounds=3]

Every variant trains LoRA r = 32 under a span head, from random weights (speed does not depend on them), in one pass
over the same windows of generated SQuAD. After a short untimed round they take turns, so that drift meets all alike.
The clock runs from the first row collated to the end of the last step; none validates or saves. Dropout is GPT-2's own.
"""

from __future__ import annotations

import copy
import gc
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple
from unittest.mock import patch

import torch

from gpt2lab import config, pipeline, precision, runs
from gpt2lab.adapter.base import trainable_parameters
from gpt2lab.data import batches
from gpt2lab.errors import UserError
from gpt2lab.fit import Prepared
from gpt2lab.model.base import MINI
from gpt2lab.model.tokenizer import load_tokenizer
from gpt2lab.predict import parse
from gpt2lab.progress import say
from gpt2lab.schema import nearest
from gpt2lab.train import loop
from gpt2lab.train.stopping import Stopping

DEFAULTS = {"model": "mini", "steps": "20", "batch_size": "8", "rounds": "3"}
MODELS = {"mini": ["model=mini"], "124m": ["model=gpt2", f"model.tokenizer={MINI}"]}
COMMON = ["task=squad", "adapter=lora", "rank=32", "adapter.dropout=0", "model.init=random", "tracking=none",
          "task.bundled_eval_passages=1", "validation.max_examples=1"]  # fmt: skip
NAMES = {"input_ids": "input_ids", "start_positions": "start", "end_positions": "end"}  # theirs: ours
Results = dict["Variant", list["Meter"]]  # for each variant its rounds
WARM_UP = 2  # untimed steps of each variant: kernels are chosen and memory is taken there


class Variant(NamedTuple):
    """One row of the table. Tuned: batches of like length, padded to their longest row; else to task.max_length."""

    name: str
    run: Callable[[Variant, Prepared, Any, Path], Meter]
    tuned: bool
    dropout: float
    precision: str


@dataclass
class Meter:
    """What one variant did in one round: counted where rows become a batch."""

    inner: Callable[[Sequence[dict]], Any]
    steps: int
    trainable: int
    rows: list[int] = field(default_factory=list)
    tokens: int = 0  # useful: pads left out, overlaps of windows counted once
    slots: int = 0  # elements of input_ids, pads included
    done: int = 0  # steps
    began: float = 0.0
    speed: float = 0.0  # useful tokens per second, from the first row to the last step's end

    def collate(self, rows: Sequence[dict]) -> Any:
        """Collate by `inner`, and count."""
        self.began = self.began or time.perf_counter()
        batch = self.inner(rows)
        self.rows += [row["row"] for row in rows]
        self.tokens += sum(row["useful"] for row in rows)
        self.slots += batch["input_ids"].numel()
        return batch

    def step_ends(self, *_: Any) -> None:
        """Count; after the last step and what it left queued on a GPU, take the time."""
        self.done += 1
        if self.done == self.steps:
            if torch.cuda.is_initialized():
                torch.cuda.synchronize()
            self.speed = self.tokens / (time.perf_counter() - self.began)


def main(arguments: list[str]) -> int:
    """Parse `key=value`, measure, print the table; returns the exit code (2 for a user's mistake)."""
    try:
        values = DEFAULTS | parse(arguments, tuple(DEFAULTS), required=())
        model, *counts = values.values()
        if model not in MODELS:
            raise UserError(f"model={model}: {nearest(model, MODELS)}valid: {', '.join(MODELS)}")
        if wrong := [f"{k}={v}" for k, v in values.items() if v in counts and not (v.isdecimal() and int(v) >= 1)]:
            raise UserError(f"{wrong[0]}: must be a whole number >= 1")
        prepared, results = measure(MODELS[model], *map(int, counts))
    except UserError as error:
        print(f"gpt2lab.bench: {error}", file=sys.stderr)
        return 2
    print("\ncommand: python -m gpt2lab.bench", *(f"{k}={v}" for k, v in values.items()))
    print(*lines(prepared, results), sep="\n")
    return 0


def measure(words: list[str], steps: int, batch_size: int, rounds: int) -> tuple[Prepared, Results]:
    """Train every variant on the same `steps * batch_size` windows, `rounds` times in turn."""
    size = steps * batch_size  # a generated passage has two questions, a question one window or more
    own = [f"batch_size={batch_size}", f"task.max_train_examples={size}", f"task.bundled_train_passages={size + 10}"]
    prepared = pipeline.prepare(*pipeline.find_parts(config.load([*COMMON, *words, *own]).config, pipeline.Session()))
    features = prepared.features["train"].select(range(size)).add_column("row", list(range(size)))
    auto = prepared.config.precision.precision.name  # tuned means at our precision too
    results: Results = {Variant(*row): [] for row in (
        ("Trainer stock", trainer, False, 0.1, "fp32"), ("Trainer tuned", trainer, True, 0.0, auto),
        ("gpt2lab", ours, True, 0.0, auto), ("gpt2lab", ours, True, 0.1, auto))}  # fmt: skip
    for turn in range(rounds + 1):
        part = features if turn else features.select(range(min(WARM_UP, steps) * batch_size))
        for variant, meters in results.items():
            gc.collect()
            with tempfile.TemporaryDirectory() as folder:
                meter = variant.run(variant, prepared, part, Path(folder))
            if turn:
                meters.append(meter)
                say(f"round {turn}: {variant.name}, dropout {variant.dropout:g}: {meter.speed:,.0f} useful tokens/s")
    work = {(tuple(sorted(m.rows)), m.tokens, m.done, m.trainable) for meters in results.values() for m in meters}
    if len(work) != 1:
        raise AssertionError(f"{len(work)} different amounts of work were timed: their speeds do not compare")
    return prepared, results


def ours(variant: Variant, prepared: Prepared, features: Any, folder: Path) -> Meter:
    """The loop as a run has it, its history included."""
    cfg = replace(prepared.config, model=replace(prepared.config.model, dropout=variant.dropout))
    fresh = pipeline.prepare(cfg, prepared.hardware, prepared.base, prepared.task, prepared.splits)
    steps = len(features) // cfg.train.batch_size
    meter = Meter(fresh.task.collate, steps, trainable_parameters(fresh.adapted.model))
    # Both sort pools of 50 batches by length, but Trainer no more than a quarter of the data: ours then likewise.
    # A loss of nan is never the best, so nothing is saved while the clock runs.
    schedule = precision.kinds.get(cfg.precision.kind).build(cfg.precision, steps)
    with patch.object(batches, "POOL", min(batches.POOL, max(1, steps // 4))):
        loop.run(fresh.adapted.model, replace(fresh.task, collate=meter.collate), features, schedule, cfg.train,
                 loop.Pace(steps, steps, checkpoint_every=None, keep=1, seed=0), Stopping(cfg.validation), folder,
                 fresh.hardware.device, validate=lambda: {"loss": float("nan")}, report=meter.step_ends)  # fmt: skip
    return meter


def trainer(variant: Variant, prepared: Prepared, features: Any, folder: Path) -> Meter:
    """GPT2ForQuestionAnswering, PEFT and Trainer as they come; what is not set here is at its default."""
    import peft
    import transformers as hf
    from accelerate.state import AcceleratorState

    cfg, architecture = prepared.config, copy.deepcopy(prepared.model.config)
    architecture.resid_pdrop = architecture.embd_pdrop = architecture.attn_pdrop = variant.dropout  # type: ignore
    lora = peft.LoraConfig(r=cfg.adapter.rank, lora_alpha=cfg.adapter.alpha, target_modules=["c_attn", "c_proj"],
                           fan_in_fan_out=True, task_type="QUESTION_ANS")  # fmt: skip
    model = peft.get_peft_model(hf.GPT2ForQuestionAnswering(architecture), lora)
    width = "longest" if variant.tuned else "max_length"
    padded = hf.DataCollatorWithPadding(load_tokenizer(prepared.base.tokenizer), width, cfg.task.max_length)
    meter = Meter(lambda rows: padded([{name: row[ours] for name, ours in NAMES.items()} for row in rows]),
                  len(features) // cfg.train.batch_size, trainable_parameters(model))  # fmt: skip
    arguments = hf.TrainingArguments(
        output_dir=str(folder), per_device_train_batch_size=cfg.train.batch_size, num_train_epochs=1, report_to="none",
        bf16=variant.precision == "bf16", use_cpu=prepared.hardware.device == "cpu", save_strategy="no",
        train_sampling_strategy="group_by_length" if variant.tuned else "random", remove_unused_columns=False,
        label_names=list(NAMES)[1:], disable_tqdm=True, logging_strategy="no")  # fmt: skip
    clock = type("Clock", (hf.TrainerCallback,), {"on_step_end": lambda self, *_, **__: meter.step_ends()})
    built = hf.Trainer(model, arguments, meter.collate, train_dataset=features, callbacks=[clock()])
    built.remove_callback(hf.PrinterCallback)
    built.train()
    AcceleratorState._reset_state(reset_partial_state=True)  # else this mixed precision holds for the whole process
    return meter


def lines(prepared: Prepared, results: Results) -> list[str]:
    """What was trained, where, with which versions; speeds and ratios as medians (min-max) over rounds."""
    row, bases = "{:<14}{:>8}{:>10}{:>6}{:>17}{:>24}{:>24}".format, list(results)[:2]
    one, found = results[bases[0]][0], runs.environment(prepared.hardware.record(), 0, [])
    named = {k: found["packages"][k] for k in ("torch", "transformers", "peft", "accelerate")} | found["git"]
    out = [f"model: {prepared.base.label}, parameters: trainable {one.trainable:,} of total {prepared.plan.total:,}",
           f"data: {prepared.splits.source.label}, {len(one.rows):,} windows, {one.tokens:,} useful tokens; batch size "
           f"{prepared.config.train.batch_size}, {one.done:,} steps, {len(results[bases[0]])} rounds in turn",
           prepared.hardware.line(), ", ".join(f"{k} {v}" for k, v in {"python": found["python"], **named}.items()), "",
           row("", "dropout", "precision", "pads", "useful tokens/s", *(f"x {b.name}" for b in bases))]  # fmt: skip
    for variant, meters in results.items():
        cells = [f"{variant.dropout:g}", variant.precision, f"{1 - meters[0].tokens / meters[0].slots:.0%}",
                 f"{statistics.median(m.speed for m in meters):,.0f}"]  # fmt: skip
        for base in bases:
            ratios = [m.speed / b.speed for m, b in zip(meters, results[base], strict=True)]
            marks = "d" * (variant.dropout != base.dropout) + "p" * (variant.precision != base.precision)
            cells.append(f"{statistics.median(ratios):.2f} ({min(ratios):.2f}-{max(ratios):.2f}) {marks:<2}")
        out.append(row(variant.name, *cells))
    return [*out, "d: at unequal dropout (drawing masks takes time); p: at unequal precision; (min-max over rounds)"]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
