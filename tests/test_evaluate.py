"""Evaluation: the same figures whatever the batches, answers kept and not logits, the model left as it was."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers
import yaml
from torch import nn

import gpt2lab
from gpt2lab.evaluate import Evaluation, evaluate, with_intervals
from gpt2lab.model.base import MINI
from gpt2lab.model.tokenizer import load_tokenizer
from gpt2lab.report.stats import bootstrap_interval
from gpt2lab.schema import Fallback
from gpt2lab.task import squad
from gpt2lab.task.base import Scores, Task


@dataclass
class Case:
    task: Task
    features: Any
    examples: Any
    model: nn.Module

    def evaluate(self, tokens: int, precision: str = "fp32", **more: Any) -> Evaluation:
        task = more.pop("task", self.task)
        return evaluate(self.model, task, self.features, self.examples, precision=precision, device="cpu",
                        batch_tokens=tokens, **more)  # fmt: skip


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Case]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path_factory.mktemp("cache"))
        defaults = yaml.safe_load((Path(gpt2lab.__file__).parents[1] / "conf" / "task" / "squad.yaml").read_text())
        small = {"fallback": Fallback.allow, "bundled_train_passages": 10, "bundled_eval_passages": 40,
                 "max_length": 96, "stride": 30}  # fmt: skip
        config = squad.SquadConfig(**(defaults | small))
        task = squad.squad(config)
        examples = task.load(real_base=False, fraction=0.5, max_validation=None).evaluation
        tokenizer = load_tokenizer(MINI)
        tokenizer.model_max_length, tokenizer.gpt2lab_id = 128, "mini"
        features = task.encode(examples, tokenizer, training=False)
        torch.manual_seed(0)
        shape = {"n_layer": 2, "n_head": 2, "n_embd": 32, "n_positions": 128, "vocab_size": 2048}
        model = transformers.GPT2ForQuestionAnswering(transformers.GPT2Config(**shape, initializer_range=0.3))
        yield Case(task, features, examples, model)
    torch.set_num_threads(threads)


def test_batches_change_no_figure(case: Case) -> None:
    single, small, large = (case.evaluate(tokens) for tokens in (1, 200, 5000))
    assert len(single.predictions) == len(case.examples) < single.features == len(case.features)
    for other in (small, large):
        assert other.loss == pytest.approx(single.loss, rel=1e-5)
        assert other.scores.metrics == single.scores.metrics
        for name, spans in single.predictions.items():
            found = other.predictions[name]
            assert [s["score"] for s in found] == pytest.approx([s["score"] for s in spans], abs=1e-4)
            assert found[0]["text"] == spans[0]["text"] and found[0]["start"] == spans[0]["start"]


def test_loss_is_the_mean_over_features(case: Case) -> None:
    case.model.eval()
    with torch.no_grad():
        losses = [case.task.loss(case.model, case.task.collate([f])).item() for f in case.features]
    assert case.evaluate(700).loss == pytest.approx(sum(losses) / len(losses), rel=1e-5)


def test_answers_are_plain_values_and_progress_counts_features(case: Case) -> None:
    kept: list[Any] = []
    done: list[int] = []

    def gather(answers: list[Any], features: Any, examples: Any) -> dict[str, Any]:
        kept.extend(answers)
        return case.task.gather(answers, features, examples)

    case.evaluate(300, task=replace(case.task, gather=gather), progress=done.append)
    assert len(kept) == len(case.features) == sum(done)
    values = [value for spans in kept for triple in spans for value in triple]
    assert {type(v) for v in values} == {float, int} and len(values) <= 15 * len(kept)


@pytest.mark.parametrize("training", [True, False])
def test_the_model_is_left_as_it_was(training: bool, case: Case) -> None:
    case.model.train(training)
    modes: list[bool] = []

    def answer(model: nn.Module, batch: Any) -> Any:
        modes.append(model.training)
        return case.task.answer(model, batch)

    case.evaluate(5000, task=replace(case.task, answer=answer))
    assert set(modes) == {False} and case.model.training is training
    assert all(p.grad is None and p.requires_grad and not p.is_inference() for p in case.model.parameters())


def test_precision_is_the_one_that_was_asked_for(case: Case) -> None:
    kinds: list[torch.dtype] = []
    layer = case.model.get_submodule("qa_outputs")
    handle = layer.register_forward_hook(lambda module, inputs, output: kinds.append(output.dtype))
    fp32, bf16 = (case.evaluate(5000, precision) for precision in ("fp32", "bf16"))
    handle.remove()
    assert set(kinds[: len(kinds) // 2]) == {torch.float32} and set(kinds[len(kinds) // 2 :]) == {torch.bfloat16}
    assert fp32.loss != bf16.loss == pytest.approx(fp32.loss, rel=0.02)


def test_with_intervals() -> None:
    values, articles = np.array([100.0, 0, 100, 100, 0, 0, 100, 100]), np.array(list("aabbccdd"))
    scores = Scores({"f1": values.mean(), "perplexity": 7.0}, {"f1": values}, articles)
    found = with_intervals(Evaluation(0.5, scores, dict.fromkeys(range(8)), 12), "eval")
    low, high = bootstrap_interval(values, articles)
    assert found == {"eval/loss": 0.5, "eval/n": 8, "eval/f1": 62.5, "eval/f1_low": low, "eval/f1_high": high,
                     "eval/perplexity": 7.0}  # fmt: skip
    assert low < 62.5 < high
    assert (low, high) != bootstrap_interval(values), "questions of one article are not independent"
