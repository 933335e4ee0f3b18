"""SQuAD v1.1 (Rajpurkar et al. 2016): the answer to a question is a span of its context.

    question  When was the mill built?
    context   The old mill was built in 1843 by ...
    answer    1843                (`answer_start` counts characters from the context's beginning)

Sources, in this order: files named in the config; with real weights the hub's `rajpurkar/squad`, cached or fetched;
the bundled generator. Scored by the official exact match and F1, with intervals bootstrapped over articles.
"""

from __future__ import annotations

import functools
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from gpt2lab import quiet
from gpt2lab.data import sources
from gpt2lab.errors import UserError
from gpt2lab.schema import Fallback, knob
from gpt2lab.task import register, span, squad_rows
from gpt2lab.task.base import Scores, Source, Splits, Task
from gpt2lab.task.metrics import squad as metric

if TYPE_CHECKING:
    from datasets import Dataset

HELD_OUT_EVALUATION = 0.1  # share of articles scored when a training file comes without an evaluation file


@dataclass
class SquadConfig:
    """Question answering on SQuAD v1.1."""

    kind: str = knob()
    train_file: str | None = knob(exists=True)
    """official v1.1 JSON, plain or gzipped; null: the hub with real weights, else bundled"""
    eval_file: str | None = knob(exists=True)
    """likewise; null beside a train_file: a tenth of its articles, held out"""
    hub: str = knob()
    """dataset on the hub"""
    hub_revision: str | None = knob()
    """branch, tag or commit there; null: the newest"""
    fallback: Fallback = knob()
    """may bundled data stand in where the hub's were wanted: allow or error"""
    max_train_examples: int | None = knob(ge=1)
    """a seeded sample of the training questions; null: all"""
    max_eval_examples: int | None = knob(ge=1)
    """a seeded sample of the evaluation questions; null: all"""
    sample_seed: int = knob(ge=0)
    """of samples and held-out articles; not the run's seed, so that seeds are compared on the same questions"""
    bundled_train_passages: int = knob(ge=10)
    """generated passages, two questions each"""
    bundled_eval_passages: int = knob(ge=1)
    """generated passages, two questions each, about entities that occur in no training passage"""
    max_length: int = knob(ge=16)
    """tokens of a window: question, context part, two separators"""
    stride: int = knob(ge=0)
    """context tokens that neighbouring windows share"""
    max_answer_tokens: int = knob(ge=1)
    """longest answer that is predicted"""
    eval_batch_tokens: int = knob(ge=1)
    """tokens of an evaluation batch, pads included"""


@register("squad", SquadConfig)
def squad(config: SquadConfig) -> Task:
    """The task as the loop sees it."""
    return Task(
        name="squad", objective="span",
        load=functools.partial(load, config),
        encode=functools.partial(encode, config),
        collate=span.collate, loss=span.loss, items=span.items,
        answer=functools.partial(span.answer, max_tokens=config.max_answer_tokens),
        gather=span.gather, score=score, metrics=("exact_match", "f1"), problems=problems,
        longest=config.max_length, longest_key="max_length",
    )  # fmt: skip


def load(config: SquadConfig, *, real_base: bool, fraction: float, max_validation: int | None) -> Splits:
    """Read, clean, hold out a validation part by article, and sample.

    Args:
        real_base: the base has real pretrained weights, so that real data are wanted
        fraction: share of the training questions to hold out for validation
        max_validation: largest size of the validation part
    """
    train, evaluation, label, fingerprint, notes = _read(config, real_base)
    parts: dict[str, Dataset | None] = {"train": train, "evaluation": evaluation}
    problems: Counter[str] = Counter()
    for name, part in parts.items():
        if part is None:
            continue
        found = squad_rows.summarise(zip(part["id"], part["problem"], strict=True))
        if found["problems"]:
            notes.append(f"{name} data: {squad_rows.summary_line(found)}")
        problems.update({problem: entry["count"] for problem, entry in found["problems"].items()})
        keep = [i for i, problem in enumerate(part["problem"]) if problem not in squad_rows.DROPPED]
        if not keep:
            raise UserError(f"{label}: no usable question in the {name} data ({squad_rows.summary_line(found)})")
        parts[name] = part.select(keep) if len(keep) < len(part) else part
    train, evaluation = parts["train"], parts["evaluation"]
    if evaluation is None:
        assert train is not None
        train, evaluation = sources.hold_out(train, HELD_OUT_EVALUATION, "title", config.sample_seed)
        notes.append(f"no task.eval_file: {len(evaluation):,} questions of {len(set(evaluation['title']))} articles "
                     "of the training file are held out and scored")  # fmt: skip
    if train is None:
        train = validation = evaluation.select([])
    else:
        train, validation = sources.hold_out(train, fraction, "title", config.sample_seed)
    return Splits(
        train=sources.sample(train, config.max_train_examples, config.sample_seed),
        validation=sources.sample(validation, max_validation, config.sample_seed),
        evaluation=sources.sample(evaluation, config.max_eval_examples, config.sample_seed),
        source=Source(label, fingerprint, tuple(notes)),
        problems=dict(problems),
    )


def _read(config: SquadConfig, real_base: bool) -> tuple[Dataset | None, Dataset, str, str, list[str]]:
    """(train, evaluation, label, fingerprint, notes) of the source that is there; evaluation may be None."""
    if config.train_file or config.eval_file:
        files = [Path(f).expanduser() if f else None for f in (config.train_file, config.eval_file)]
        prints = [f and sources.file_fingerprint(f) for f in files]
        version = sources.code_fingerprint(squad_rows)
        read = [f and sources.from_rows(squad_rows.read_squad, {"path": str(f)}, f"{mark}-{version}")
                for f, mark in zip(files, prints, strict=True)]  # fmt: skip
        name = next(f.name for f in files if f)
        label = f"file:{name}@{prints[0] or prints[1]}"
        return read[0], read[1], label, "-".join(p or "none" for p in prints), []
    if real_base:
        from gpt2lab.data import hub

        found, why = hub.load(config.hub, config.hub_revision)
        if found is not None:
            sets, revision = found
            parts = [_hub_rows(sets[name]) for name in ("train", "validation")]
            return parts[0], parts[1], f"hub:{config.hub}@{revision}", revision, []
        note = f"data: {config.hub} is neither cached nor reachable ({why})"
        if config.fallback is Fallback.error:
            raise UserError(f"{note}; give task.train_file=... task.eval_file=..., or fallback=allow for the "
                            "bundled generated passages")  # fmt: skip
        return (*_bundled(config), [f"{note}: using the bundled generated passages, which are not SQuAD"])
    return (*_bundled(config), [])


def _hub_rows(dataset: Dataset) -> Dataset:
    """With the column a file's reader gives; a question without an answer is SQuAD v2's."""
    return dataset.add_column("problem", ["" if a["text"] else "no answers" for a in dataset["answers"]])


def _bundled(config: SquadConfig) -> tuple[Dataset, Dataset, str, str]:
    from gpt2lab.data.synthetic import squad as generator

    version = sources.code_fingerprint(generator, *generator.MODULES, squad_rows)
    parts = []
    for split, passages in (("train", config.bundled_train_passages), ("evaluation", config.bundled_eval_passages)):
        arguments = {"split": split, "passages": passages}
        parts.append(sources.from_rows(generated_rows, arguments, version))
    return parts[0], parts[1], "bundled", version


def generated_rows(split: str, passages: int) -> Iterator[dict]:
    """Rows of the bundled generator, through the same reader as a file."""
    from gpt2lab.data.synthetic import squad as generator

    yield from squad_rows.rows_of(generator.generate(passages, seed=0, split=split))


def encode(config: SquadConfig, examples: Dataset, tokenizer: Any, training: bool) -> Dataset:
    """Windows of all examples: input_ids, length, useful tokens, choosable positions, labels, character places.

    `useful` counts each context token once over the windows of a question. A question of more than half a window is
    cut, so that the context has room. A training answer that lies across all windows gets a window of its own.
    """
    limit = config.max_length
    if limit > tokenizer.model_max_length:
        raise UserError(f"task.max_length={limit}: this model has {tokenizer.model_max_length} positions")
    key = sources.digest(examples._fingerprint, tokenizer.gpt2lab_id, limit, config.stride, training,
                         sources.code_fingerprint(span, sys.modules[__name__]))  # fmt: skip
    quiet.datasets()
    return examples.map(
        _encode_batch, batched=True, with_indices=True, batch_size=500, new_fingerprint=key,
        remove_columns=examples.column_names,
        fn_kwargs={"tokenizer": tokenizer, "max_length": limit, "stride": config.stride, "places": not training},
    )  # fmt: skip


def _encode_batch(batch: dict[str, list], indices: list[int], *, tokenizer: Any, max_length: int, stride: int,
                  places: bool) -> dict[str, list]:  # fmt: skip
    contexts = list(dict.fromkeys(batch["context"]))
    encoded = tokenizer(contexts, return_offsets_mapping=True, add_special_tokens=False, verbose=False)
    tokens = dict(zip(contexts, zip(encoded["input_ids"], encoded["offset_mapping"], strict=True), strict=True))
    questions = tokenizer([q.strip() for q in batch["question"]], add_special_tokens=False)["input_ids"]
    separator = tokenizer("\n", add_special_tokens=False)["input_ids"]
    columns = ("input_ids", "length", "useful", "example", "null", "first", "last", "start", "end", "cut")
    out: dict[str, list] = {k: [] for k in (*columns, *(("char_start", "char_end") if places else ()))}
    for row, (context, question, answers) in enumerate(zip(batch["context"], questions, batch["answers"], strict=True)):
        ids, offsets = tokens[context]
        cut, question = len(question) > max_length // 2, question[: max_length // 2]
        begin = answers["answer_start"][0]
        label = span.token_span(offsets, begin, begin + len(answers["text"][0]))
        first = len(question) + len(separator)
        ranges = span.windows(question, ids, separator, max_length, stride)
        room = ranges[0][1]
        if label and not places and not any(_holds(r, label) for r in ranges) and label[1] - label[0] < room:
            ranges.append(span.around(label, room, len(ids)))
        seen = 0
        for a, b in ranges:
            inside = label is not None and _holds((a, b), label)
            out["input_ids"].append(question + separator + ids[a:b] + separator)
            out["length"].append(len(out["input_ids"][-1]))
            out["useful"].append(out["length"][-1] if seen == 0 else max(0, b - max(a, seen)))
            out["example"].append(indices[row])
            out["null"].append(first - 1)
            out["first"].append(first)
            out["last"].append(first + b - a - 1)
            out["start"].append(first + label[0] - a if inside and label else first - 1)
            out["end"].append(first + label[1] - a if inside and label else first - 1)
            out["cut"].append(cut)
            if places:
                out["char_start"].append([_skip_space(context, o) for o in offsets[a:b]])
                out["char_end"].append([o[1] for o in offsets[a:b]])
            seen = b
    return out


def _holds(window: tuple[int, int], label: tuple[int, int]) -> bool:
    return window[0] <= label[0] and label[1] < window[1]


def problems(features: Any) -> dict[str, int]:
    """Questions that were cut and answers that are longer than a window, where there are any."""
    columns = {k: np.asarray(features[k][:]) for k in ("example", "null", "end", "cut")}
    answered = np.unique(columns["example"][columns["end"] > columns["null"]])
    counts = {
        "question cut": len(np.unique(columns["example"][columns["cut"]])),
        "answer in no window": len(np.unique(columns["example"])) - len(answered),
    }
    return {problem: count for problem, count in counts.items() if count}


def _skip_space(context: str, offset: tuple[int, int]) -> int:
    """A byte-level token begins with its space; a predicted answer does not."""
    begin, end = offset
    while begin < end - 1 and context[begin].isspace():
        begin += 1
    return begin


def score(predictions: dict[str, list[dict]], examples: Any) -> Scores:
    """Official exact match and F1 in percent, per question and on average; clusters are articles."""
    best = {name: spans[0]["text"] if spans else "" for name, spans in predictions.items()}
    rows: Iterable[dict] = ({"id": i, "answers": a} for i, a in zip(examples["id"], examples["answers"], strict=True))
    by_id = metric.score(best, rows)
    per_example = {name: np.array([by_id[i][name] for i in examples["id"]]) for name in ("exact_match", "f1")}
    metrics = {name: float(values.mean()) for name, values in per_example.items()}
    return Scores(metrics, per_example, np.asarray(examples["title"]))
