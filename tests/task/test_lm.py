"""Next-token loss against a direct computation, block by block."""

from __future__ import annotations

import random

import pytest
import torch
import torch.nn.functional as F
import transformers
from torch import nn

from gpt2lab.task import lm


@pytest.fixture(scope="module")
def model() -> nn.Module:
    torch.manual_seed(0)
    shape = {"n_layer": 2, "n_head": 2, "n_embd": 32, "n_positions": 64, "vocab_size": 61, "initializer_range": 0.2}
    return transformers.GPT2LMHeadModel(transformers.GPT2Config(**shape)).eval()


def rows() -> list[dict]:
    rng = random.Random(0)
    return [{"input_ids": [rng.randrange(61) for _ in range(n)], "skip": skip}
            for n, skip in ((5, 0), (40, 0), (40, 30), (12, 11), (2, 0))]  # fmt: skip


def direct(model: nn.Module, row: dict) -> list[float]:
    """-log p(token | those before it) of each supervised token, one forward pass a token."""
    out = []
    for t in range(max(1, row["skip"]), len(row["input_ids"])):
        logits = model(torch.tensor([row["input_ids"][:t]])).logits[0, -1]
        out.append(F.cross_entropy(logits, torch.tensor(row["input_ids"][t])).item())
    return out


def test_loss_items_and_answers(model: nn.Module) -> None:
    batch = lm.collate(rows())
    with torch.no_grad():
        expected = [direct(model, r) for r in rows()]
        blocks, total = lm.answer(model, batch)
        loss = lm.loss(model, batch).item()
    assert [n for _, n in blocks] == [len(e) for e in expected] == [4, 39, 10, 1, 1]
    assert lm.items(batch) == 55
    assert [nats for nats, _ in blocks] == pytest.approx([sum(e) for e in expected], rel=1e-5)
    assert loss == pytest.approx(sum(map(sum, expected)), rel=1e-5) and total == pytest.approx(loss, rel=1e-6)


def test_mean_is_transformers_own_loss(model: nn.Module) -> None:
    ids = torch.randint(0, 61, (3, 20), generator=torch.Generator().manual_seed(1))
    batch = lm.collate([{"input_ids": r, "skip": 0} for r in ids.tolist()])
    with torch.no_grad():
        assert (lm.loss(model, batch) / lm.items(batch)).item() == pytest.approx(
            model(ids, labels=ids).loss.item(), rel=1e-6
        )


def test_pads_are_not_supervised() -> None:
    batch = lm.collate(rows())
    assert batch["labels"].shape == batch["input_ids"].shape == (5, 40)
    for i, r in enumerate(rows()):
        n = len(r["input_ids"])
        assert (batch["labels"][i, n:] == lm.IGNORE).all() and (batch["labels"][i, : r["skip"]] == lm.IGNORE).all()
        assert batch["labels"][i, r["skip"] : n].tolist() == r["input_ids"][r["skip"] :]
