"""Two tiny objectives for the loop: windows of unequal length, blocks with unequal supervised tokens."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from datasets import Dataset
from torch import nn

from gpt2lab.model import linear
from gpt2lab.precision.schedule import Phase
from gpt2lab.task import lm, span
from gpt2lab.task.base import Task
from gpt2lab.train import loop
from gpt2lab.train.optim import Decay, TrainConfig
from gpt2lab.train.stopping import Stopping, ValidationConfig

VOCABULARY = 61


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Sums in one order, and no fight for cores."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@dataclass(frozen=True)
class Case:
    """A task with features, and how to build a model for it."""

    task: Task
    features: Any
    model: Callable[..., nn.Module]

    def batch(self, indices: list[int]) -> dict[str, torch.Tensor]:
        return self.task.collate([self.features[i] for i in indices])

    def run(self, folder: Any, model: nn.Module | None = None, *, validate: Any = None, report: Any = None,
            every: int = 1000, checkpoint: int | None = None, keep: int = 2, steps: int = 3, seed: int = 5,
            stopping: Stopping | None = None, precision: str = "fp32", **knobs: Any) -> loop.Outcome:  # fmt: skip
        """`loop.run` with the knobs that a test cares about."""
        folder.mkdir(exist_ok=True)
        return loop.run(
            model or self.model(), self.task, self.features, lambda step: Phase(precision), config(**knobs),
            loop.Pace(steps, every, checkpoint, keep, seed), stopping or Stopping(validation()), folder, "cpu",
            validate=validate or (lambda: {"loss": float("nan")}), report=report or (lambda row: None),
        )  # fmt: skip


def config(**changes: Any) -> TrainConfig:
    plain = {"lr": 1e-3, "epochs": 1, "max_steps": None, "batch_size": 2, "accumulation_steps": 1, "warmup": 0.0,
             "schedule": Decay.linear, "weight_decay": 0.01, "clip": 1.0, "grad_norms": False}  # fmt: skip
    return TrainConfig(**(plain | changes))


def validation(**changes: Any) -> ValidationConfig:
    plain = {"every": 0.5, "fraction": 0.1, "max_examples": None, "metric": "loss", "patience": None, "min_delta": 0.0}
    return ValidationConfig(**(plain | changes))


def gpt2(objective: str, dropout: float = 0.0, seed: int = 1) -> nn.Module:
    import transformers

    kind = transformers.GPT2ForQuestionAnswering if objective == "span" else transformers.GPT2LMHeadModel
    torch.manual_seed(seed)
    model = kind(transformers.GPT2Config(
        n_layer=2, n_head=2, n_embd=32, n_positions=48, vocab_size=VOCABULARY, initializer_range=0.1,
        resid_pdrop=dropout, embd_pdrop=dropout, attn_pdrop=dropout, bos_token_id=0, eos_token_id=0, pad_token_id=0,
    ))  # fmt: skip
    linear.convert(model)
    return model.eval()


def span_rows(count: int, seed: int = 0) -> Iterator[dict[str, Any]]:
    draw = torch.Generator().manual_seed(seed)

    def number(low: int, high: int) -> int:
        return int(torch.randint(low, high, (), generator=draw))

    for i in range(count):
        question, context = number(2, 6), number(4, 30)
        length, first = question + context + 2, question + 1
        start = number(first, first + context)
        end = number(start, first + context)
        if i % 4 == 3:  # the answer stands in another window
            start = end = first - 1
        ids = torch.randint(1, VOCABULARY, (length,), generator=draw).tolist()
        yield {"input_ids": ids, "length": length, "useful": length - i % 3, "example": i, "null": first - 1,
               "first": first, "last": first + context - 1, "start": start, "end": end}  # fmt: skip


def lm_rows(count: int, seed: int = 0) -> Iterator[dict[str, Any]]:
    draw = torch.Generator().manual_seed(seed)
    for i in range(count):
        length = int(torch.randint(3, 40, (), generator=draw))
        skip = [0, 2, length - 1][i % 3]
        ids = torch.randint(1, VOCABULARY, (length,), generator=draw).tolist()
        yield {"input_ids": ids, "length": length, "useful": length - skip, "example": i, "skip": skip}


def unused(*arguments: Any, **named: Any) -> Any:
    raise AssertionError("the loop does not call this")


@pytest.fixture
def make_case() -> Callable[[str, int], Case]:
    """(objective, number of features) -> Case."""

    def make(objective: str, count: int) -> Case:
        module: Any = span if objective == "span" else lm
        rows = span_rows(count) if objective == "span" else lm_rows(count)
        task = Task(
            name="test", objective=objective, load=unused, encode=unused, collate=module.collate, loss=module.loss,
            items=module.items, answer=unused, gather=unused, score=unused, metrics=("f1",),
        )  # fmt: skip
        return Case(task, Dataset.from_list(list(rows)), functools.partial(gpt2, objective))

    return make


@pytest.fixture
def stopping() -> Callable[..., Stopping]:
    """(changes of ValidationConfig) -> Stopping."""
    return lambda **changes: Stopping(validation(**changes))
