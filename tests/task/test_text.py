"""Blocks of contiguous text: each token once, perplexity and bits per byte by their formulas."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
import transformers
import yaml
from datasets import Dataset

import gpt2lab
from gpt2lab.errors import UserError
from gpt2lab.evaluate import evaluate
from gpt2lab.model.base import MINI
from gpt2lab.model.tokenizer import load_tokenizer
from gpt2lab.task import text
from gpt2lab.task.base import Splits

DEFAULTS = Path(gpt2lab.__file__).parents[1] / "conf" / "task" / "text.yaml"
DOCUMENTS = [f"Document {i}: the mill of {'é' * (i % 4)} was built in {1800 + i}. " * (1 + i % 5) for i in range(40)]


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "cache")
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    loaded = load_tokenizer(MINI)
    loaded.model_max_length, loaded.gpt2lab_id = 64, "mini"
    return loaded


def config(**changes: Any) -> text.TextConfig:
    return text.TextConfig(**(yaml.safe_load(DEFAULTS.read_text()) | {"context_size": 32} | changes))


def load(**changes: Any) -> Splits:
    return text.load(config(**changes), real_base=False, fraction=0.1, max_validation=None)


def examples(count: int = 40) -> Dataset:
    return Dataset.from_list([{"id": str(i), "text": t} for i, t in enumerate(DOCUMENTS[:count])])


def stream(tokenizer: Any, count: int = 40) -> list[int]:
    return [i for t in DOCUMENTS[:count] for i in [*tokenizer(t)["input_ids"], tokenizer.eos_token_id]]


def test_blocks_cover_each_token_once(tokenizer: Any) -> None:
    features = text.encode(config(), examples(), tokenizer, True).to_list()
    ids = [i for f in features for i in f["input_ids"]]
    whole = stream(tokenizer)
    assert ids == whole[: len(ids)] and len(whole) - len(ids) <= 1  # a last block of one token predicts nothing
    assert all(f["length"] == f["useful"] == len(f["input_ids"]) == 32 and f["skip"] == 0 for f in features[:-1])


@pytest.mark.parametrize("stride", [1, 5, 16, 31, 32])
@pytest.mark.parametrize("count", [1, 2, 7, 40])
def test_with_a_stride_each_token_is_supervised_once(stride: int, count: int, tokenizer: Any) -> None:
    features = text.encode(config(stride=stride), examples(count), tokenizer, False).to_list()
    whole = stream(tokenizer, count)
    supervised = []
    for number, f in enumerate(features):
        assert f["input_ids"] == whole[number * stride : number * stride + 32] and f["length"] == len(f["input_ids"])
        assert f["useful"] == f["length"] - f["skip"]
        supervised += range(number * stride + max(1, f["skip"]), number * stride + f["length"])
    if stride == 32:  # without an overlap the first of each block has nothing before it
        assert supervised == [i for i in range(len(whole)) if i % 32]
    else:
        assert supervised == list(range(1, len(whole)))
    assert sum(f["useful"] for f in features) in (len(whole), len(whole) - (len(whole) % 32 == 1))


def test_blocks_know_their_document(tokenizer: Any) -> None:
    owners = [i for i in range(40) for _ in range(len(tokenizer(DOCUMENTS[i])["input_ids"]) + 1)]
    features = text.encode(config(), examples(), tokenizer, True).to_list()
    assert [f["example"] for f in features] == owners[::32][: len(features)]


@pytest.mark.parametrize(("changes", "message"), [
    ({"context_size": 65}, "task.context_size=65: this model has 64 positions"),
    ({"stride": 33}, "task.stride=33: must be at most task.context_size=32"),
])  # fmt: skip
def test_sizes_that_do_not_fit(changes: dict, message: str, tokenizer: Any) -> None:
    with pytest.raises(UserError, match=message):
        text.encode(config(**changes), examples(), tokenizer, True)


def test_perplexity_and_bits_per_byte_are_the_direct_figures(tokenizer: Any) -> None:
    torch.manual_seed(0)
    shape = {"n_layer": 1, "n_head": 2, "n_embd": 32, "n_positions": 64, "vocab_size": 2048, "initializer_range": 0.3}
    model = transformers.GPT2LMHeadModel(transformers.GPT2Config(**shape)).eval()
    ids, task = torch.tensor(stream(tokenizer, 12)), text.text(config(stride=16))
    features = text.encode(config(stride=16), examples(12), tokenizer, False)
    nats = []
    with torch.no_grad():
        for t in range(1, len(ids)):  # every token with the context it has in its block
            start = max(0, -(-(t - 31) // 16) * 16)
            nats.append(F.cross_entropy(model(ids[None, start:t]).logits[0, -1], ids[t]).item())
    found = evaluate(model, task, features, examples(12), precision="fp32", device="cpu", batch_tokens=2000)
    mean = sum(nats) / len(nats)
    assert found.loss == pytest.approx(mean, rel=1e-5)
    assert found.scores.metrics["perplexity"] == pytest.approx(math.exp(mean), rel=1e-4)
    size = len("".join(DOCUMENTS[:12]).encode())
    assert size > len("".join(DOCUMENTS[:12])), "bytes are not characters here"
    assert found.scores.metrics["bits_per_byte"] == pytest.approx(mean / math.log(2) * len(ids) / size, rel=1e-5)
    assert set(task.metrics) == set(found.scores.metrics)


def test_a_uniform_model_needs_the_bits_of_its_vocabulary(tokenizer: Any) -> None:
    """Whatever the blocks: a first token that is not supervised is no gift."""

    class Uniform(torch.nn.Module):
        def forward(self, input_ids: torch.Tensor) -> Any:
            return transformers.modeling_outputs.CausalLMOutput(logits=torch.zeros(*input_ids.shape, 2048))

    size, tokens = len("".join(DOCUMENTS).encode()), len(stream(tokenizer))
    for context in (4, 32, 64):
        features = text.encode(config(context_size=context), examples(), tokenizer, False)
        found = evaluate(Uniform(), text.text(config()), features, examples(), precision="fp32", device="cpu",
                         batch_tokens=999)  # fmt: skip
        assert found.scores.metrics["perplexity"] == pytest.approx(2048, rel=1e-4)
        assert found.scores.metrics["bits_per_byte"] == pytest.approx(11 * tokens / size, rel=2 / tokens)


def test_splits_are_whole_documents(tmp_path: Path) -> None:
    file = tmp_path / "text.txt"
    file.write_text("\n\n".join(DOCUMENTS))
    splits = load(train_file=str(file))
    parts = [list(p["text"]) for p in (splits.train, splits.validation, splits.evaluation)]
    assert sorted(t for part in parts for t in part) == sorted(t.strip() for t in DOCUMENTS) and all(parts)
    assert splits.source.label.startswith("file:text.txt@")


def test_a_folder_is_a_document_a_file(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    for i in range(6):
        (tmp_path / ("deep" if i % 2 else ".") / f"{i}.txt").write_text(f"one\n\ntwo {i}")
    splits = load(train_file=str(tmp_path), eval_file=str(tmp_path / "deep"))
    assert sorted(splits.evaluation["text"]) == [f"one\n\ntwo {i}" for i in (1, 3, 5)]
    assert len(splits.train) + len(splits.validation) == 6


def test_too_few_documents(tmp_path: Path) -> None:
    (tmp_path / "one.txt").write_text("only one")
    with pytest.raises(UserError, match="1 documents; at least 3 are needed"):
        load(train_file=str(tmp_path / "one.txt"))
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match=r"no \.txt file in this folder"):
        load(train_file=str(tmp_path / "empty"))
