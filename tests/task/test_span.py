"""The span objective against brute force, transformers' own loss, and the text that the offsets stand for."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator
from typing import Any

import pytest
import torch
import torch.nn.functional as F
import transformers
from datasets import Dataset
from torch import nn

from gpt2lab.model.base import MINI
from gpt2lab.model.tokenizer import load_tokenizer
from gpt2lab.task import span, squad

INF = float("inf")


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def model() -> nn.Module:
    torch.manual_seed(0)
    shape = {"n_layer": 2, "n_head": 2, "n_embd": 32, "n_positions": 64, "vocab_size": 61, "initializer_range": 0.3}
    return transformers.GPT2ForQuestionAnswering(transformers.GPT2Config(**shape)).eval()


def row(rng: random.Random, question: int, context: int) -> dict[str, Any]:
    first, length = question + 1, question + context + 2
    start = rng.randrange(first, first + context)
    return {"input_ids": [rng.randrange(61) for _ in range(length)], "null": first - 1, "first": first,
            "last": first + context - 1, "start": start, "end": rng.randrange(start, first + context)}  # fmt: skip


@pytest.mark.parametrize("question", [1, 9, 30])
@pytest.mark.parametrize("stride", [0, 1, 5, 20, 1000])
@pytest.mark.parametrize("length", [1, 25, 26, 30, 31, 59, 200])
def test_windows(question: int, stride: int, length: int) -> None:
    limit, separator = 60, [0]
    found = span.windows([1] * question, [2] * length, separator, limit, stride)
    room = limit - question - 2
    shared = min(stride, room // 2)
    assert {i for a, b in found for i in range(a, b)} == set(range(length))
    assert all(0 < b - a <= room for a, b in found)
    assert all(b - a == room for a, b in found[:-1]), "all but the last are full"
    assert all(left[1] - right[0] == shared for left, right in itertools.pairwise(found))
    for begin in range(length - shared):  # whatever is no longer than the overlap is whole in some window
        assert any(a <= begin and begin + shared < b for a, b in found)


def test_windows_without_room() -> None:
    assert span.windows([1] * 60, [2], [0], 60, 5) == []


@pytest.mark.parametrize(("label", "expected"), [((50, 52), (45, 57)), ((0, 2), (0, 12)), ((98, 99), (88, 100))])
def test_around(label: tuple[int, int], expected: tuple[int, int]) -> None:
    assert span.around(label, 12, 100) == expected
    assert span.around((1, 2), 12, 5) == (0, 5)


def test_token_span_takes_what_overlaps() -> None:
    offsets = [(0, 3), (3, 8), (8, 9), (9, 9), (9, 15)]
    expected = {(0, 3): (0, 0), (3, 8): (1, 1), (4, 8): (1, 1), (2, 4): (0, 1), (8, 15): (2, 4), (0, 15): (0, 4)}
    assert {k: span.token_span(offsets, *k) for k in expected} == expected
    assert span.token_span(offsets, 15, 20) is None


@pytest.mark.parametrize("max_tokens", [1, 3, 7, 50])
def test_best_spans_are_those_of_a_search_over_all_pairs(max_tokens: int) -> None:
    generator = torch.Generator().manual_seed(max_tokens)
    batch, width = 6, 12
    start, end = torch.randn(2, batch, width, generator=generator)
    first = torch.tensor([1, 3, 5, 11, 2, 2])
    last = torch.tensor([11, 8, 5, 11, 4, 11])
    for i in range(batch):
        allowed = {int(first[i]) - 1, *range(int(first[i]), int(last[i]) + 1)}
        barred = [t for t in range(width) if t not in allowed]
        start[i, barred] = end[i, barred] = -INF
        start[i, first[i] - 1] = end[i, first[i] - 1] = 9.0  # the null position, more likely than any answer
    scores, starts, ends = span.best_spans(start, end, first, max_tokens)
    for i in range(batch):
        pairs = [(a, b) for a in range(width) for b in range(a, min(a + max_tokens, width))
                 if first[i] <= a and b <= last[i]]  # fmt: skip
        ranked = sorted(pairs, key=lambda p: -(start[i, p[0]] + end[i, p[1]]).item())[: span.N_BEST]
        kept = [(a, b) for s, a, b in zip(scores[i].tolist(), starts[i].tolist(), ends[i].tolist(), strict=True)
                if s > -INF]  # fmt: skip
        assert kept == ranked
        totals = [(start[i, a] + end[i, b]).item() for a, b in ranked]
        assert scores[i, : len(ranked)].tolist() == pytest.approx(totals, abs=1e-6)


def test_the_null_position_is_never_an_answer() -> None:
    """Even where it has nearly all of the probability, as in a window without the answer."""

    class Sure(nn.Module):
        def forward(self, input_ids: torch.Tensor) -> Any:
            logits = torch.zeros(input_ids.shape)
            logits[:, 3] = 50.0
            return transformers.modeling_outputs.QuestionAnsweringModelOutput(start_logits=logits, end_logits=logits)

    rng = random.Random(0)
    rows = [row(rng, 3, n) for n in (1, 2, 10)]
    assert all(r["null"] == 3 for r in rows)
    answers, _ = span.answer(Sure(), span.collate(rows), 30)
    assert [len(a) for a in answers] == [1, 3, 5]
    assert all(
        4 <= first <= end <= r["last"] for r, spans in zip(rows, answers, strict=True) for _, first, end in spans
    )


def test_loss_is_transformers_loss_where_nothing_is_masked(model: nn.Module) -> None:
    rng = random.Random(1)
    rows = [row(rng, 1, 20) | {"null": 0, "first": 1, "last": 21} for _ in range(5)]
    rows = [r | {"input_ids": r["input_ids"][:22]} for r in rows]
    batch = span.collate(rows)
    theirs = model(batch["input_ids"], start_positions=batch["start"], end_positions=batch["end"]).loss
    out = model(batch["input_ids"])
    formula = (F.cross_entropy(out.start_logits, batch["start"]) + F.cross_entropy(out.end_logits, batch["end"])) / 2
    assert formula.item() == pytest.approx(theirs.item(), rel=1e-6), "the reference is what it is meant to be"
    assert span.items(batch) == 5
    assert (span.loss(model, batch) / 5).item() == pytest.approx(theirs.item(), rel=1e-6)


def test_questions_and_separators_get_no_probability(model: nn.Module) -> None:
    rng = random.Random(2)
    r = row(rng, 7, 12)
    with torch.no_grad():
        out = model(torch.tensor([r["input_ids"]]))
    allowed = [7, *range(8, 20)]
    expected = sum(F.cross_entropy(logits[0, allowed], torch.tensor(allowed.index(r[name]))).item() / 2
                   for name, logits in (("start", out.start_logits), ("end", out.end_logits)))  # fmt: skip
    with torch.no_grad():
        assert span.loss(model, span.collate([r])).item() == pytest.approx(expected, rel=1e-6)


def test_pads_change_nothing(model: nn.Module) -> None:
    rng = random.Random(3)
    rows = [row(rng, 3, 5), row(rng, 5, 50), row(rng, 2, 20)]
    together = span.collate(rows)
    alone = [span.collate([r]) for r in rows]
    with torch.no_grad():
        padded = model(together["input_ids"])
        for i, batch in enumerate(alone):
            width = batch["input_ids"].shape[1]
            for name in ("start_logits", "end_logits"):
                difference = padded[name][i, :width] - model(batch["input_ids"])[name][0]
                assert difference.abs().max() < 1e-5
        losses = [span.loss(model, batch).item() for batch in alone]
        assert span.loss(model, together).item() == pytest.approx(sum(losses), rel=1e-5)
        found, total = span.answer(model, together, 30)
        assert total == pytest.approx(sum(losses), rel=1e-5)
        for i, batch in enumerate(alone):
            (single,), _ = span.answer(model, batch, 30)
            assert [s[1:] for s in single] == [s[1:] for s in found[i]]
            assert [s[0] for s in single] == pytest.approx([s[0] for s in found[i]], abs=1e-5)


def test_gather_merges_windows_by_their_best_scores() -> None:
    context = "abcdefghij"
    examples = Dataset.from_list([{"id": "x", "context": context}, {"id": "y", "context": "zz"}])
    features = Dataset.from_list([
        {"example": 0, "first": 3, "char_start": [0, 2, 4], "char_end": [2, 4, 6]},
        {"example": 0, "first": 3, "char_start": [4, 6, 8], "char_end": [6, 8, 10]},
        {"example": 1, "first": 1, "char_start": [0], "char_end": [2]},
    ])  # fmt: skip
    answers = [
        [(-1.0, 3, 4), (-2.0, 5, 5), (-9.0, 3, 3)],
        [(-0.5, 4, 5), (-1.5, 3, 3), (-3.0, 3, 4), (-7.0, 5, 5)],  # (-1.5: the same place as -2.0 above)
        [],
    ]
    found = span.gather(answers, features, examples)
    assert [(s["text"], s["score"], s["start"]) for s in found["x"]] == [
        ("ghij", -0.5, 6), ("abcd", -1.0, 0), ("ef", -1.5, 4), ("efgh", -3.0, 4), ("ij", -7.0, 8),
    ]  # fmt: skip
    assert found["y"] == []


# ---- places in the text


CONTEXT = (
    "  Zoë Brontë 👩\u200d🚀 flew to São Paulo in 1843; naïve 日本語 readers paid 3.5 € (𝒙² = 4).\tÉcole café!\n"
    "End\u00a0of it"
)
ANSWERS = ["Zoë Brontë", "Brontë", "👩\u200d🚀", "São Paulo", "1843", "naïve", "日本語", "3.5", "€", "𝒙²", "École",
           "café", "End", "Zoë Brontë 👩\u200d🚀 flew", "it", "flew to São", "readers paid 3.5 €"]  # fmt: skip


@pytest.mark.parametrize("max_length", [40, 128])
def test_places_of_unicode_text_stand_for_the_answer(max_length: int) -> None:
    tokenizer = load_tokenizer(MINI)
    batch = {"context": [CONTEXT] * len(ANSWERS), "question": ["Who?"] * len(ANSWERS),
             "answers": [{"text": [a], "answer_start": [CONTEXT.index(a)]} for a in ANSWERS]}  # fmt: skip
    out = squad._encode_batch(batch, list(range(len(ANSWERS))), tokenizer=tokenizer, max_length=max_length,
                              stride=30, places=True)  # fmt: skip
    found: dict[int, set[str]] = {i: set() for i in range(len(ANSWERS))}
    for i, (example, start) in enumerate(zip(out["example"], out["start"], strict=True)):
        if start > out["null"][i]:
            first = out["first"][i]
            a, b = out["char_start"][i][start - first], out["char_end"][i][out["end"][i] - first]
            found[example].add(CONTEXT[a:b])
    assert [found[i] for i in range(len(ANSWERS))] == [{a} for a in ANSWERS]
