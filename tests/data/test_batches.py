"""Which features make which step: every one once an epoch, found again by counting."""

from __future__ import annotations

import itertools
from collections import Counter

import numpy as np
import pytest

from gpt2lab.data.batches import POOL, by_token_budget, epoch_batches, step_batches, steps_per_epoch

LENGTHS = np.random.default_rng(0).integers(5, 385, 1003).tolist()


@pytest.mark.parametrize("count", [1, 7, 8, 9, POOL * 8, POOL * 8 + 1, 1003])
@pytest.mark.parametrize("batch_size", [1, 8])
def test_every_feature_once_an_epoch(count: int, batch_size: int) -> None:
    batches = epoch_batches(LENGTHS[:count], batch_size, seed=3, epoch=2)
    assert sorted(i for b in batches for i in b) == list(range(count))
    assert Counter(map(len, batches)) == Counter(
        {batch_size: count // batch_size} | ({count % batch_size: 1} if count % batch_size else {})
    )


def test_pure_in_seed_and_epoch() -> None:
    orders = {key: epoch_batches(LENGTHS, 8, *key) for key in ((1, 0), (1, 1), (2, 0))}
    np.random.seed(7)  # the global generator has no say
    assert all(epoch_batches(LENGTHS, 8, *key) == order for key, order in orders.items())
    a, b, c = (list(map(tuple, o)) for o in orders.values())
    assert len(set(a) & set(b)) < 3 and len(set(a) & set(c)) < 3 and len(set(b) & set(c)) < 3


def test_batches_are_of_like_length_and_in_random_order() -> None:
    batches = epoch_batches(LENGTHS, 8, 1, 0)
    grouped = sum(max(LENGTHS[i] for i in b) * len(b) for b in batches)
    order = np.random.default_rng(1).permutation(len(LENGTHS))
    random = sum(max(LENGTHS[i] for i in order[k : k + 8]) * len(order[k : k + 8]) for k in range(0, len(order), 8))
    assert grouped / sum(LENGTHS) < 1.06 and random / sum(LENGTHS) > 1.5
    widths = [max(LENGTHS[i] for i in b) for b in batches]
    assert abs(np.corrcoef(widths[:-1], widths[1:])[0, 1]) < 0.25, "lengths drift through the epoch"


@pytest.mark.parametrize(
    ("count", "batch_size", "accumulation"), [(13, 2, 2), (16, 4, 2), (17, 4, 2), (3, 8, 4), (1, 1, 1)]
)
def test_steps_per_epoch_counts_step_batches(count: int, batch_size: int, accumulation: int) -> None:
    per_epoch = steps_per_epoch(count, batch_size, accumulation)
    steps = list(step_batches(LENGTHS[:count], batch_size, accumulation, 5, 0, 3 * per_epoch))
    for epoch in range(3):
        part = steps[epoch * per_epoch : (epoch + 1) * per_epoch]
        assert sorted(i for step in part for b in step for i in b) == list(range(count))
        assert all(1 <= len(step) <= accumulation and all(step) for step in part)
        assert all(len(step) == accumulation for step in part[:-1])


@pytest.mark.parametrize("first", [0, 1, 3, 4, 5, 11, 12])
def test_a_resumed_run_sees_the_tail_of_the_whole(first: int) -> None:
    whole = list(step_batches(LENGTHS[:13], 2, 2, 5, 0, 12))
    assert list(step_batches(LENGTHS[:13], 2, 2, 5, first, 12)) == whole[first:]


@pytest.mark.parametrize("budget", [1, 100, 384, 385, 5000, 10**6])
def test_token_budget(budget: int) -> None:
    batches = by_token_budget(LENGTHS, budget)
    assert sorted(i for b in batches for i in b) == list(range(len(LENGTHS)))
    for batch in batches:
        width = max(LENGTHS[i] for i in batch)
        assert len(batch) * width <= budget or len(batch) == 1
    widths = [max(LENGTHS[i] for i in b) for b in batches]
    assert widths == sorted(widths, reverse=True), "what does not fit in memory is met first"
    for batch, following in itertools.pairwise(batches):  # no batch closes while there is room
        assert (len(batch) + 1) * max(LENGTHS[i] for i in batch + following[:1]) > budget
    assert by_token_budget([], budget) == []
