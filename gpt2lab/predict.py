"""Ask a finished run: `python -m gpt2lab predict run=last question="..." context="..."`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml

from gpt2lab import adapter, runs, task
from gpt2lab.config import RunConfig, from_plain
from gpt2lab.errors import UserError
from gpt2lab.evaluate import evaluate
from gpt2lab.hardware import setup
from gpt2lab.model import base as models
from gpt2lab.model.tokenizer import tokenizer_of
from gpt2lab.schema import nearest

KEYS = ("run", "question", "context", "outputs", "debug")


def main(arguments: list[str]) -> int:
    """Parse `key=value`, answer one question, print the best spans with their probabilities."""
    values = parse(arguments, KEYS, required=("question", "context"))
    folder = runs.find(runs.outputs_folder(values.get("outputs", "outputs")), values.get("run", "last"))
    spans = answer(folder, values["question"], values["context"])
    print(f"run: {folder}")
    if not spans:
        print("no answer found in this context")
    for span in spans:
        print(f"{span['probability']:6.1%}  {span['text']}")
    return 0


def parse(arguments: list[str], keys: tuple[str, ...], required: tuple[str, ...]) -> dict[str, str]:
    """`key=value` words as a dict; UserError for an unknown, doubled, missing or empty one."""
    values: dict[str, str] = {}
    for word in arguments:
        key, equals, value = word.partition("=")
        if not equals or key not in keys:
            raise UserError(
                f"{word}: unknown argument; {nearest(key, keys)}valid: {', '.join(f'{k}=...' for k in keys)}"
            )
        if key in values:
            raise UserError(f"{key}={value}: given twice")
        values[key] = value
    for key in required:
        if not values.get(key, "").strip():
            raise UserError(f"{key}=...: missing or empty; needed: {', '.join(f'{k}=...' for k in required)}")
    return values


def load_run(folder: Path) -> tuple[RunConfig, Any, Any, models.Base]:
    """A finished run as (config, model in eval mode, tokenizer, base); UserError if its base is not the one here."""
    config = from_plain(yaml.safe_load((folder / "config.yaml").read_text(encoding="utf-8")))
    metrics = runs.read_json(folder / "metrics.json")
    base = models.resolve(config.model)
    if base.label != metrics["base"]:
        raise UserError(
            f"{folder} was made on base {metrics['base']}, but here model={config.model.name} is {base.label}"
        )
    made_on = runs.read_json(folder / "environment.json")
    if (base.weights_id, base.tokenizer_id) != (made_on.get("weights_id"), made_on.get("tokenizer_id")):
        raise UserError(f"{folder} was made on other weights than the {base.label} that is here now")
    setup(replace(config.hardware, device="cpu", threads=None))
    built = task.kinds.get(config.task.kind).build(config.task)
    model = models.load(base, config.model, built.objective, config.seed)
    model = adapter.kinds.get(config.adapter.kind).flags["load"](model, folder / "adapter")
    tokenizer = tokenizer_of(base.tokenizer, base.tokenizer_id, model.config.n_positions)
    return config, model.eval(), tokenizer, base


def answer(folder: Path, question: str, context: str) -> list[dict[str, Any]]:
    """The best spans of `context`, best first: text, start (characters), log-probability, probability."""
    import math

    from datasets import Dataset

    config, model, tokenizer, _ = load_run(folder)
    if config.task.kind != "squad":
        raise UserError(f"{folder}: a {config.task.kind} run does not answer questions; choose a squad run")
    built = task.kinds.get("squad").build(config.task)
    rows = Dataset.from_list([{"id": "q", "title": "", "context": context, "question": question,
                               "answers": {"text": [context[:1]], "answer_start": [0]}}])  # fmt: skip
    features = built.encode(rows, tokenizer, training=False)
    found = evaluate(model, built, features, rows, precision=config.precision.eval.name, device="cpu",
                     batch_tokens=config.task.eval_batch_tokens)  # fmt: skip
    return [{**span, "probability": math.exp(span["score"])} for span in found.predictions["q"]]
