"""Which features make which step, as a pure function of seed and epoch: a resumed run finds its place by counting."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np

POOL = 50  # batches sorted together by length: enough to cut padding, few enough to keep the order random


def epoch_batches(lengths: Sequence[int], batch_size: int, seed: int, epoch: int) -> list[list[int]]:
    """All features of one epoch in batches of like length, shuffled by (seed, epoch); the last may be smaller.

    Features are shuffled, cut into pools of 50 batches, sorted by length inside a pool, cut into batches, and the
    batches shuffled.
    """
    rng = np.random.default_rng((seed, epoch))
    order = rng.permutation(len(lengths))
    values = np.asarray(lengths)
    batches = []
    for start in range(0, len(order), POOL * batch_size):
        pool = order[start : start + POOL * batch_size]
        pool = pool[np.argsort(values[pool], kind="stable")]
        batches += [pool[i : i + batch_size].tolist() for i in range(0, len(pool), batch_size)]
    return [batches[i] for i in rng.permutation(len(batches))]


def steps_per_epoch(features: int, batch_size: int, accumulation: int) -> int:
    """Optimiser steps in one pass; the last may have fewer batches."""
    return math.ceil(math.ceil(features / batch_size) / accumulation)


def step_batches(lengths: Sequence[int], batch_size: int, accumulation: int, seed: int, first_step: int,
                 steps: int) -> Iterator[list[list[int]]]:  # fmt: skip
    """For each optimiser step from `first_step` to `steps`: its batches of feature indices."""
    per_epoch = steps_per_epoch(len(lengths), batch_size, accumulation)
    epoch, batches = -1, []
    for step in range(first_step, steps):
        if step // per_epoch != epoch:
            epoch = step // per_epoch
            batches = epoch_batches(lengths, batch_size, seed, epoch)
        at = (step % per_epoch) * accumulation
        yield batches[at : at + accumulation]


def by_token_budget(lengths: Sequence[int], max_tokens: int) -> list[list[int]]:
    """Longest first, as many features to a batch as fit `max_tokens` with padding; for evaluation."""
    order = sorted(range(len(lengths)), key=lambda i: -lengths[i])
    batches: list[list[int]] = []
    for i in order:
        if not batches or (len(batches[-1]) + 1) * lengths[batches[-1][0]] > max_tokens:
            batches.append([])
        batches[-1].append(i)
    return batches
