"""The loop against plain PyTorch: gradients, steps, the best weights, what stops it."""

from __future__ import annotations

import copy
import json
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from gpt2lab import hardware
from gpt2lab.data.batches import step_batches
from gpt2lab.errors import UserError
from gpt2lab.train import checkpoint, optim

Make = Callable[[str, int], Any]


def history(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "history.jsonl").read_text().splitlines()]


def flat(tensors: list[torch.Tensor]) -> torch.Tensor:
    return torch.cat([t.flatten() for t in tensors])


def distance(a: torch.Tensor, b: torch.Tensor) -> float:
    return ((a - b).norm() / b.norm()).item()


def step_gradient(case: Any, folder: Path, monkeypatch: pytest.MonkeyPatch, **knobs: int) -> torch.Tensor:
    """What the optimiser is given in the first step."""
    seen: list[torch.Tensor] = []
    build = optim.build

    def spying(*arguments: Any) -> Any:
        optimizer, scheduler = build(*arguments)
        parameters = [p for group in optimizer.param_groups for p in group["params"]]
        optimizer.register_step_pre_hook(lambda *_: seen.append(flat([p.grad.clone() for p in parameters])))
        return optimizer, scheduler

    with monkeypatch.context() as patch:
        patch.setattr(optim, "build", spying)
        case.run(folder, steps=1, clip=None, **knobs)
    (gradient,) = seen
    return gradient


@pytest.mark.parametrize("objective", ["span", "lm"])
def test_accumulated_gradients_are_those_of_the_single_batch(
    objective: str, make_case: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """transformers #34191: a mean of means weighs an item by the company it keeps."""
    case = make_case(objective, 7)  # 7 features: batches of 2, 2, 2 and 1
    single = step_gradient(case, tmp_path / "a", monkeypatch, batch_size=8)
    several = step_gradient(case, tmp_path / "b", monkeypatch, batch_size=2, accumulation_steps=4)
    assert distance(several, single) < 1e-6

    model = case.model()
    (batches,) = step_batches(case.features["length"][:], 2, 4, 5, 0, 1)
    for indices in batches:  # what the test is about: the usual mean over batches is far from it
        batch = case.batch(indices)
        (case.task.loss(model, batch) / case.task.items(batch) / len(batches)).backward()
    matrices_first = sorted(model.parameters(), key=lambda p: p.ndim < 2)
    assert distance(flat([p.grad for p in matrices_first]), single) > 1e-3


def by_hand_loss(model: nn.Module, objective: str, rows: list[dict]) -> tuple[torch.Tensor, int]:
    """Sum of the loss and items over rows taken one at a time, without a pad or a mask in the computation."""
    total, items = torch.zeros(()), 0
    for row in rows:
        out = model(input_ids=torch.tensor([row["input_ids"]]))
        if objective == "lm":
            begin = max(1, row["skip"])
            targets = torch.tensor(row["input_ids"][begin:])
            total = total + F.cross_entropy(out.logits[0, begin - 1 : -1], targets, reduction="sum")
            items += len(targets)
            continue
        choices = [row["null"], *range(row["first"], row["last"] + 1)]
        for name, logits in (("start", out.start_logits[0]), ("end", out.end_logits[0])):
            total = total + F.cross_entropy(logits[choices], torch.tensor(choices.index(row[name]))) / 2
        items += 1
    return total, items


@pytest.mark.parametrize("objective", ["span", "lm"])
def test_weights_equal_a_plain_loop(objective: str, make_case: Make, tmp_path: Path) -> None:
    case, steps, warm, lr, decay = make_case(objective, 11), 3, 1, 1e-3, 0.1
    model = case.model()
    plain = copy.deepcopy(model)
    case.run(
        tmp_path / "run", model, steps=steps, lr=lr, weight_decay=decay, accumulation_steps=2, warmup=0.3, clip=0.5
    )

    matrices = [p for p in plain.parameters() if p.ndim >= 2]
    vectors = [p for p in plain.parameters() if p.ndim < 2]
    groups = [{"params": matrices, "weight_decay": decay}, {"params": vectors, "weight_decay": 0.0}]
    adam = torch.optim.AdamW(groups, lr=lr)
    norms = []
    for step, batches in enumerate(step_batches(case.features["length"][:], 2, 2, 5, 0, steps)):
        for group in adam.param_groups:  # half the peak, the peak, half way down to zero
            group["lr"] = lr * (0.5 if step < warm else 1 - (step - warm) / (steps - warm))
        adam.zero_grad()
        total, items = by_hand_loss(plain, objective, [case.features[i] for b in batches for i in b])
        (total / items).backward()
        norms.append(torch.nn.utils.clip_grad_norm_(plain.parameters(), 0.5).item())
        adam.step()
    assert max(norms) > 0.5, "clipping did nothing in this test"
    rows = history(tmp_path / "run")
    assert [r["grad_norm"] for r in rows] == pytest.approx(norms, rel=1e-4)
    assert [r["lr"] for r in rows] == pytest.approx([lr / 2, lr, lr / 2])
    # What a softmax over positions ignores has no gradient but rounding, and Adam makes full steps of that.
    idle = {"c_attn.bias": slice(32, 64)}  # of keys
    idle |= {"ln_f.bias": slice(None), "qa_outputs.bias": slice(None)} if objective == "span" else {}
    for (name, a), b in zip(model.named_parameters(), plain.parameters(), strict=True):
        difference = (a - b).detach().abs()
        for ending, part in idle.items():
            if name.endswith(ending):
                difference[part] = 0
        assert difference.max() < 1e-5, name


def test_history_counts_what_was_done(make_case: Make, tmp_path: Path) -> None:
    case = make_case("span", 9)
    outcome = case.run(tmp_path / "run", steps=4, accumulation_steps=2, grad_norms=True)
    rows = history(tmp_path / "run")
    planned = list(step_batches(case.features["length"][:], 2, 2, 5, 0, 4))
    assert [r["tokens"] for r in rows] == [sum(case.features[i]["useful"] for b in s for i in b) for s in planned]
    assert outcome.tokens == sum(r["tokens"] for r in rows) and outcome.steps == 4
    assert outcome.seconds == pytest.approx(sum(r["seconds"] for r in rows))
    assert outcome.phase_seconds == {"fp32": pytest.approx(outcome.seconds)}
    model = case.model()
    for row in rows:
        norms = {k: v for k, v in row.items() if k.startswith("grad_norm/")}
        assert set(norms) == {f"grad_norm/{n}" for n, _ in model.named_parameters()}
        assert math.sqrt(sum(v * v for v in norms.values())) == pytest.approx(row["grad_norm"], rel=1e-5)


def test_the_best_validated_weights_are_left_in_the_model(make_case: Make, stopping: Callable, tmp_path: Path) -> None:
    case, seen = make_case("span", 9), {}
    model = case.model()
    figures = iter([3.0, 1.0, 2.0, 1.0])

    def report(row: dict) -> None:
        seen[row["step"]] = flat([p.detach().clone() for p in model.parameters()])

    rule = stopping()
    case.run(tmp_path / "run", model, steps=8, every=2, validate=lambda: {"loss": next(figures)}, report=report,
             stopping=rule)  # fmt: skip
    assert (rule.best, rule.best_step) == (1.0, 4)
    assert torch.equal(flat(list(model.parameters())), seen[4]) and not torch.equal(seen[4], seen[8])
    figures_by_step = {r["step"]: r["validation/loss"] for r in history(tmp_path / "run") if "validation/loss" in r}
    assert figures_by_step == {2: 3.0, 4: 1.0, 6: 2.0, 8: 1.0}


@pytest.mark.parametrize("bad", ["loss", "gradient"])
def test_a_loss_that_is_not_finite_stops_the_run(bad: str, make_case: Make, tmp_path: Path) -> None:
    case, calls = make_case("span", 9), []
    inner = case.task.loss

    def loss(model: nn.Module, batch: dict) -> torch.Tensor:
        calls.append(1)
        value = inner(model, batch)
        if len(calls) < 4:
            return value
        zero = sum(p.sum() for p in model.parameters()) * 0.0
        return value * float("nan") if bad == "loss" else value + zero.sqrt()  # finite, with a slope that is not

    seen: list[torch.Tensor] = []
    model = case.model()
    with pytest.raises(UserError) as caught:
        replace(case, task=replace(case.task, loss=loss)).run(
            tmp_path / "run", model, steps=8, checkpoint=2,
            report=lambda row: seen.append(flat([p.detach().clone() for p in model.parameters()])),
        )  # fmt: skip
    (planned,) = step_batches(case.features["length"][:], 2, 1, 5, 3, 4)
    examples = sorted(i for b in planned for i in b)
    message = str(caught.value)
    assert "\n" not in message and message.startswith("step 4: ")
    assert f"examples {', '.join(map(str, examples))} of the training part" in message
    assert str(tmp_path / "run" / "checkpoints" / "step-0000002") in message
    assert [r["step"] for r in history(tmp_path / "run")] == [1, 2, 3]
    assert [p.name for p in (tmp_path / "run" / "checkpoints").iterdir()] == ["step-0000002"]
    assert torch.equal(flat(list(model.parameters())), seen[-1]), "the bad step changed the weights"


def test_patience_stops_early_and_stays_stopped(make_case: Make, stopping: Callable, tmp_path: Path) -> None:
    case, figures = make_case("span", 9), [2.0, 3.0, 4.0, 1.0]
    for attempt in range(2):  # the second takes up the checkpoint of the step at which the first stopped
        outcome = case.run(
            tmp_path / "run", steps=8, every=1, checkpoint=3, stopping=stopping(patience=2),
            validate=lambda: {"loss": figures[len(history(tmp_path / "run"))]},
        )  # fmt: skip
        assert outcome.stopped_early and outcome.steps == 3, attempt
        assert [r["step"] for r in history(tmp_path / "run")] == [1, 2, 3]


def test_figures_without_a_number_are_null(make_case: Make, tmp_path: Path) -> None:
    case = make_case("lm", 4)
    case.run(tmp_path / "run", steps=2, every=1)

    def refuse(word: str) -> None:
        raise AssertionError(f"{word} is not JSON")

    lines = (tmp_path / "run" / "history.jsonl").read_text().splitlines()
    assert [json.loads(line, parse_constant=refuse)["validation/loss"] for line in lines] == [None, None]
    assert not (tmp_path / "run" / "checkpoints" / "best").exists()


def test_an_unknown_validation_metric_is_refused_before_the_first_step(
    make_case: Make, stopping: Callable, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match=r"validation\.metric=f11: .*did you mean f1\? valid: loss, f1"):
        make_case("span", 4).run(tmp_path / "run", stopping=stopping(metric="f11"))
    assert not (tmp_path / "run" / "history.jsonl").exists()


def test_bf16_phases_differ_from_fp32_and_learn_the_same(make_case: Make, tmp_path: Path) -> None:
    case = make_case("span", 8)
    losses = {}
    for precision in ("fp32", "bf16"):
        case.run(tmp_path / precision, steps=3, precision=precision)
        rows = history(tmp_path / precision)
        assert {(r["precision"], r["executed"]) for r in rows} == {(precision, precision)}
        losses[precision] = [r["loss"] for r in rows]
    assert losses["bf16"] != losses["fp32"] and losses["bf16"] == pytest.approx(losses["fp32"], rel=0.05)


def test_deterministic_gives_the_same_bits_twice(make_case: Make, tmp_path: Path) -> None:
    config = hardware.HardwareConfig("cpu", threads=1, workers=0, tf32=False)
    found = []
    try:
        for name in ("a", "b"):
            hardware.setup(config, deterministic=True)
            case = make_case("span", 9)
            model = case.model(dropout=0.1)
            case.run(tmp_path / name, model, steps=5, accumulation_steps=2)
            found.append(flat(list(model.parameters())))
            torch.rand(7)  # what happened in between in the process does not matter
    finally:
        hardware.setup(config, deterministic=False)
    assert torch.equal(*found)
    losses = [[r["loss"] for r in history(tmp_path / name)] for name in ("a", "b")]
    assert losses[0] == losses[1]


def test_dropout_is_on_in_training(make_case: Make, tmp_path: Path) -> None:
    case = make_case("span", 8)
    for name, dropout in (("without", 0.0), ("with", 0.3)):
        case.run(tmp_path / name, case.model(dropout=dropout), steps=1)
    assert history(tmp_path / "with")[0]["loss"] != history(tmp_path / "without")[0]["loss"]


def test_only_trainable_weights_move(make_case: Make, tmp_path: Path) -> None:
    case = make_case("span", 8)
    model = case.model()
    model.transformer.requires_grad_(False)
    before = copy.deepcopy(model.state_dict())
    case.run(tmp_path / "run", model, steps=2)
    changed = {k for k, v in model.state_dict().items() if not torch.equal(v, before[k])}
    assert changed == {"qa_outputs.weight", "qa_outputs.bias"} == set(checkpoint.trainable_state(model))
