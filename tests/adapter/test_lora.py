"""LoRA on the real shape: counts, which modules, and what stock transformers and peft make of a saved one."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import peft
import pytest
import torch
import transformers
from datasets import Dataset
from torch import nn

from gpt2lab import adapter, config, pipeline
from gpt2lab.adapter.base import Adapted, target_modules, total_parameters, trainable_parameters
from gpt2lab.adapter.basic import BasicConfig
from gpt2lab.adapter.lora import LoraConfig
from gpt2lab.errors import UserError
from gpt2lab.model import linear
from gpt2lab.precision.schedule import Phase
from gpt2lab.task import span
from gpt2lab.task.base import Task
from gpt2lab.train import loop
from gpt2lab.train.optim import Decay, TrainConfig
from gpt2lab.train.stopping import Stopping, ValidationConfig

HEAD = 2 * 768 + 2
PROJECTIONS = ["attn.c_attn", "attn.c_proj", "mlp.c_fc", "mlp.c_proj"]
TOTAL = 124_439_808  # GPT-2 124M with tied embeddings


def gpt2_124m(objective: str = "span") -> nn.Module:
    """The real shape on the meta device: no memory, no time."""
    kind = transformers.GPT2ForQuestionAnswering if objective == "span" else transformers.GPT2LMHeadModel
    with torch.device("meta"):
        model = kind(transformers.GPT2Config())
        linear.convert(model)
    return model


def lora(model: nn.Module, rank: int = 4, targets: Any = "attention", objective: str = "span", **more: Any) -> Adapted:
    knobs = {"alpha": 16.0, "dropout": 0.0} | more
    return adapter.kinds.get("lora").build(model, LoraConfig("lora", rank=rank, targets=targets, **knobs), objective)


@pytest.mark.parametrize(
    ("targets", "rank", "expected"),
    [
        ("attention", 4, 147_456), ("attention", 8, 294_912), ("attention", 16, 589_824), ("attention", 32, 1_179_648),
        ("attention+projection", 4, 405_504), ("attention+projection", 8, 811_008),
        ("attention+projection", 16, 1_622_016), ("attention+projection", 32, 3_244_032),
        (["c_attn", "c_proj"], 8, 811_008), ("c_attn", 8, 294_912),
        ("all", 8, 811_008 + 12 * 8 * (768 + 3072)),
    ],
)  # fmt: skip
def test_known_counts_on_124m(targets: Any, rank: int, expected: int) -> None:
    adapted = lora(gpt2_124m(), rank, targets)
    assert adapted.expected == trainable_parameters(adapted.model) == expected + HEAD
    assert total_parameters(adapted.model) == TOTAL + expected + HEAD
    assert adapted.details == {"adapter/scale": 16 / rank}
    unexpected = [n for n, p in adapted.model.named_parameters()
                  if p.requires_grad and ".lora_" not in n and "qa_outputs.modules_to_save" not in n]  # fmt: skip
    assert not unexpected


def test_language_model_has_no_head_to_train() -> None:
    adapted = lora(gpt2_124m("lm"), 4, "attention", "lm")
    assert adapted.expected == trainable_parameters(adapted.model) == 147_456
    assert total_parameters(adapted.model) == TOTAL + 147_456


@pytest.mark.parametrize(("kind", "count"), [("none", 0), ("head", HEAD), ("full", TOTAL + HEAD)])
def test_counts_of_the_basic_kinds(kind: str, count: int) -> None:
    adapted = adapter.kinds.get(kind).build(gpt2_124m(), BasicConfig(kind), "span")
    assert adapted.expected == trainable_parameters(adapted.model) == count
    assert total_parameters(adapted.model) == TOTAL + HEAD


def test_head_needs_a_head() -> None:
    with pytest.raises(UserError, match="no head of its own"):
        adapter.kinds.get("head").build(gpt2_124m("lm"), BasicConfig("head"), "lm")


@pytest.mark.parametrize(
    ("targets", "layers", "parts"),
    [
        ("attention", range(12), ["attn.c_attn"]),
        ("attention+projection", range(12), ["attn.c_attn", "attn.c_proj", "mlp.c_proj"]),
        ("all", range(12), PROJECTIONS),
        (["c_proj"], range(12), ["attn.c_proj", "mlp.c_proj"]),
        (["attn.c_proj"], range(12), ["attn.c_proj"]),
        (["h.1"], [1], PROJECTIONS),  # not h.10 and h.11
        (["h.1.attn", "h.11.mlp.c_fc"], [], []),
        (["attn"], range(12), ["attn.c_attn", "attn.c_proj"]),  # not c_attn as a part of a word in mlp
    ],
)
def test_targets_match_whole_names(targets: Any, layers: Any, parts: list[str]) -> None:
    expected = [f"transformer.h.{i}.{part}" for i in layers for part in parts]
    if not expected:
        expected = ["transformer.h.1.attn.c_attn", "transformer.h.1.attn.c_proj", "transformer.h.11.mlp.c_fc"]
    assert target_modules(gpt2_124m(), targets) == expected


def test_peft_wraps_the_named_modules_and_no_other() -> None:
    adapted = lora(gpt2_124m(), 4, ["h.1", "h.10.mlp"])
    wrapped = [n.removeprefix("base_model.model.") for n, m in adapted.model.named_modules() if hasattr(m, "lora_A")]
    expected = [f"transformer.h.1.{p}" for p in PROJECTIONS]
    assert wrapped == [*expected, "transformer.h.10.mlp.c_fc", "transformer.h.10.mlp.c_proj"]


@pytest.mark.parametrize(
    ("targets", "message"),
    [
        (["c_attn", "c_atn"], r"targets=c_atn: matches no projection; did you mean c_attn\?"),
        ("attnetion", r"targets=attnetion: .*did you mean attention\?"),
        (["h.12"], "targets=h.12: matches no projection"),
        (["_proj"], "targets=_proj: matches no projection"),
        (["qa_outputs"], "targets=qa_outputs: matches no projection"),
    ],
)
def test_an_entry_that_matches_nothing_is_an_error(targets: Any, message: str) -> None:
    with pytest.raises(UserError, match=message) as caught:
        target_modules(gpt2_124m(), targets)
    assert "attn.c_attn" in str(caught.value) and "\n" not in str(caught.value)


def test_the_pipeline_refuses_a_count_that_its_formula_does_not_give(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path)
    words = ["model=mini", "model.init=random", "task.bundled_train_passages=20", "task.bundled_eval_passages=1",
             "tracking=none", "rank=4", "hardware.threads=1"]  # fmt: skip
    parts = pipeline.find_parts(config.load(words).config, pipeline.Session())
    prepared = pipeline.prepare(*parts)
    assert prepared.plan.trainable == trainable_parameters(prepared.adapted.model)
    right = adapter.kinds.get("lora").build

    def wrong(*arguments: Any) -> Adapted:
        built = right(*arguments)
        return Adapted(built.model, built.expected + 1, built.save)

    entry = adapter.kinds.get("lora")
    monkeypatch.setitem(adapter.kinds.entries(), "lora", type(entry)(entry.config, wrong, entry.flags))
    count = prepared.plan.trainable
    with pytest.raises(AssertionError, match=f"{count:,} parameters are trainable, its formula gives {count + 1:,}"):
        pipeline.prepare(*parts)


# ---- what is saved


@pytest.fixture
def stock_folder(tmp_path: Path) -> Path:
    """A tiny GPT-2 with a span head, saved by stock transformers."""
    torch.manual_seed(3)
    shape = {"n_layer": 2, "n_head": 2, "n_embd": 32, "n_positions": 32, "vocab_size": 50, "initializer_range": 0.2}
    ends = {"bos_token_id": 0, "eos_token_id": 0, "pad_token_id": 0}
    transformers.GPT2ForQuestionAnswering(transformers.GPT2Config(**shape, **ends)).save_pretrained(tmp_path / "base")
    return tmp_path / "base"


def stock(folder: Path) -> Any:
    return transformers.GPT2ForQuestionAnswering.from_pretrained(folder).eval()


def ours(folder: Path) -> nn.Module:
    model = stock(folder)
    linear.convert(model)
    return model


def logits(model: nn.Module) -> torch.Tensor:
    model.eval()
    ids = torch.randint(0, 50, (3, 20), generator=torch.Generator().manual_seed(4))
    with torch.no_grad():
        out = model(input_ids=ids)
    return torch.stack([out.start_logits, out.end_logits])


def train(model: nn.Module, folder: Path) -> None:
    """Two steps of our loop, at a rate that moves the logits."""
    rows = [{"input_ids": torch.randint(0, 50, (20,)).tolist(), "length": 20, "useful": 20, "example": i, "null": 3,
             "first": 4, "last": 18, "start": 5 + i, "end": 6 + i} for i in range(8)]  # fmt: skip

    def unused(*arguments: Any) -> Any:
        raise AssertionError

    task = Task("test", "span", unused, unused, span.collate, span.loss, span.items, unused, unused, unused)
    knobs = TrainConfig(0.05, 1, None, 4, 1, Decay.constant, 0.0, 0.01, None, False)
    rule = Stopping(ValidationConfig(0.5, 0.1, None, "loss", None, 0.0))
    folder.mkdir()
    loop.run(model, task, Dataset.from_list(rows), lambda step: Phase("fp32"), knobs, loop.Pace(2, 9, None, 1, 0), rule,
             folder, "cpu", validate=lambda: {"loss": float("nan")})  # fmt: skip


@pytest.mark.parametrize("targets", ["attention", "attention+projection", "all", ["h.1"]])
def test_stock_transformers_and_peft_give_the_same_logits(targets: Any, stock_folder: Path, tmp_path: Path) -> None:
    torch.manual_seed(0)
    adapted = lora(ours(stock_folder), 4, targets, alpha=8.0, dropout=0.1)
    train(adapted.model, tmp_path / "run")
    (tmp_path / "adapter").mkdir()
    adapted.save(tmp_path / "adapter")
    assert {p.name for p in (tmp_path / "adapter").iterdir()} >= {"adapter_config.json", "adapter_model.safetensors"}

    model = stock(stock_folder)
    assert (logits(model) - logits(adapted.model)).abs().max() > 0.1, "two steps changed nothing"
    loaded = peft.PeftModel.from_pretrained(model, tmp_path / "adapter")
    assert isinstance(model.transformer.h[1].attn.c_attn.base_layer, transformers.pytorch_utils.Conv1D)
    assert (logits(loaded) - logits(adapted.model)).abs().max() < 1e-5
    again = adapter.kinds.get("lora").flags["load"](ours(stock_folder), tmp_path / "adapter")
    assert torch.equal(logits(again), logits(adapted.model))


def test_full_is_a_checkpoint_of_stock_transformers(stock_folder: Path, tmp_path: Path) -> None:
    adapted = adapter.kinds.get("full").build(ours(stock_folder), BasicConfig("full"), "span")
    train(adapted.model, tmp_path / "run")
    (tmp_path / "adapter").mkdir()
    adapted.save(tmp_path / "adapter")
    after = logits(adapted.model)
    assert (logits(stock(stock_folder)) - after).abs().max() > 0.1
    assert (logits(stock(tmp_path / "adapter")) - after).abs().max() < 1e-5
    again = adapter.kinds.get("full").flags["load"](ours(stock_folder), tmp_path / "adapter")
    assert torch.equal(logits(again), after)


def test_full_of_a_language_model_keeps_its_tie(tmp_path: Path) -> None:
    shape = transformers.GPT2Config(n_layer=1, n_head=2, n_embd=32, n_positions=32, vocab_size=50)
    model = transformers.GPT2LMHeadModel(shape)
    fresh = copy.deepcopy(model)
    linear.convert(model)
    adapted = adapter.kinds.get("full").build(model, BasicConfig("full"), "lm")
    assert adapted.expected == sum(p.numel() for p in fresh.parameters())
    with torch.no_grad():
        model.transformer.wte.weight.add_(torch.randn_like(model.transformer.wte.weight))
    adapted.save(tmp_path)
    ids = torch.arange(20)[None]
    loaded = transformers.GPT2LMHeadModel.from_pretrained(tmp_path).eval()
    linear.convert(fresh)
    adapter.kinds.get("full").flags["load"](fresh, tmp_path)
    with torch.no_grad():
        expected = model.eval()(ids).logits
        assert (loaded(ids).logits - expected).abs().max() < 1e-5
        assert torch.equal(fresh.eval()(ids).logits, expected)
    assert fresh.lm_head.weight is fresh.transformer.wte.weight


def test_head_and_none_reload(stock_folder: Path, tmp_path: Path) -> None:
    model = ours(stock_folder)
    before = logits(model)
    none = adapter.kinds.get("none")
    adapted = none.build(model, BasicConfig("none"), "span")
    adapted.save(tmp_path)
    assert torch.equal(logits(none.flags["load"](ours(stock_folder), tmp_path)), before)

    head = adapter.kinds.get("head")
    adapted = head.build(model, BasicConfig("head"), "span")
    train(model, tmp_path / "run")
    (tmp_path / "adapter").mkdir()
    adapted.save(tmp_path / "adapter")
    after = logits(model)
    assert (after - before).abs().max() > 0.1
    assert torch.equal(logits(head.flags["load"](ours(stock_folder), tmp_path / "adapter")), after)


@pytest.mark.parametrize("kind", ["head", "full"])
def test_a_folder_of_another_adapter_is_refused(kind: str, stock_folder: Path, tmp_path: Path) -> None:
    other = transformers.GPT2ForSequenceClassification(transformers.GPT2Config(
        n_layer=1, n_head=2, n_embd=32, n_positions=32, vocab_size=50, pad_token_id=0))  # fmt: skip
    linear.convert(other)
    adapter.kinds.get(kind).build(other, BasicConfig(kind), "classify").save(tmp_path)
    with pytest.raises(UserError, match=str(tmp_path)):
        adapter.kinds.get(kind).flags["load"](ours(stock_folder), tmp_path)
