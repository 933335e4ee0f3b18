"""Bootstrap intervals and paired tests for mean scores, by question, by article and by seed.

Efron & Tibshirani 1993, An Introduction to the Bootstrap, chapter 13 (percentile intervals) and section 15.4
(tests from intervals); Field & Welsh 2007, Bootstrapping clustered data, JRSS B 69(3), 369-390; Owen 2007,
The pigeonhole bootstrap, Annals of Applied Statistics 1(2), 386-411 (two crossed factors).
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
_CHUNK = 1_000_000  # numbers drawn at a time: 8 MB an array


@dataclass(frozen=True)
class PairedTest:
    """How much better `a` is than `b` on the same questions."""

    difference: float
    """Mean of a - b, in the unit of the values."""
    low: float
    high: float
    p_value: float
    """Two-sided, of no difference."""


def bootstrap_interval(
    values: ArrayLike,
    clusters: Iterable[Hashable] | None = None,
    *,
    level: float = 0.95,
    resamples: int = 2000,
    seed: int = 0,
) -> tuple[float, float]:
    """Percentile bootstrap interval (low, high) of the mean of `values`, shape (n,).

    With `clusters` (n labels: article, document) whole clusters are resampled, and the estimate is the ratio
    of the drawn clusters' sums to their sizes (Field & Welsh 2007), since questions of one article are not
    independent. With fewer than 2 clusters questions are resampled (Efron & Tibshirani 1993, chapter 13).
    With few units (below about 20) a percentile interval is too narrow; one value gives (value, value).

    Raises ValueError for no values, values that are not finite or not 1-d, labels of another length, a level
    outside (0, 1) or fewer than 1 resamples.
    """
    sums, sizes = _units(_table([values]), clusters)
    return _interval(_resampled_means(sums, sizes, resamples, seed), level)


def paired_bootstrap(
    a: ArrayLike,
    b: ArrayLike,
    clusters: Iterable[Hashable] | None = None,
    *,
    level: float = 0.95,
    resamples: int = 2000,
    seed: int = 0,
) -> PairedTest:
    """Compare the scores `a` and `b`, shape (n,) each, of two systems on the same questions in one order.

    The differences a - b are resampled as in `bootstrap_interval`. The p-value is 1 minus the level at which
    the percentile interval would just touch 0 (Efron & Tibshirani 1993, section 15.4), counting the observed
    sample as a resample: at least 2 / (resamples + 1). It is also at least 2^(1 - units), the smallest that
    flipping the signs of the resampled units could give: one article, or one question, proves nothing.

    Raises ValueError as `bootstrap_interval` does, and for `a` and `b` of different lengths.
    """
    table = _table([a, b])
    sums, sizes = _units(table[:1] - table[1:], clusters)
    means = _resampled_means(sums, sizes, resamples, seed)
    low, high = _interval(means, level)
    beyond = min(int((means <= 0).sum()), int((means >= 0).sum()))
    p_value = min(1.0, max(2 * (beyond + 1) / (resamples + 1), 2.0 ** (1 - len(sizes))))
    return PairedTest(float(sums.sum() / sizes.sum()), low, high, p_value)


def seeds_interval(
    values_by_seed: Sequence[ArrayLike],
    clusters: Iterable[Hashable] | None = None,
    *,
    level: float = 0.95,
    resamples: int = 2000,
    seed: int = 0,
) -> tuple[float, float]:
    """Percentile bootstrap interval (low, high) of the mean over training seeds and questions.

    `values_by_seed` holds one array of shape (n,) a seed, on the same questions in the same order. Each
    resample draws seeds and, independently, questions (or whole `clusters`), as the two are crossed (Owen
    2007). One seed gives `bootstrap_interval`. Few seeds make the interval too narrow: the part of the
    variance that is due to seeds comes out short by a factor of (seeds - 1) / seeds.

    Raises ValueError as `bootstrap_interval` does, and for no seeds or arrays of different lengths.
    """
    sums, sizes = _units(_table(values_by_seed), clusters)
    return _interval(_resampled_means(sums, sizes, resamples, seed), level)


def _table(rows: Sequence[ArrayLike]) -> Floats:
    """The rows as one checked array, shape (rows, n)."""
    arrays = [np.asarray(row, dtype=np.float64) for row in rows]
    if not arrays or any(array.ndim != 1 or array.size == 0 for array in arrays):
        raise ValueError(f"values must be 1-d and not empty, not of shapes {[array.shape for array in arrays]}")
    if len({array.size for array in arrays}) > 1:
        raise ValueError(f"values must be of the same questions, not {[array.size for array in arrays]} of them")
    table = np.stack(arrays)
    if not np.isfinite(table).all():
        raise ValueError("values must be finite, not NaN or infinite")
    return table


def _units(table: Floats, clusters: Iterable[Hashable] | None) -> tuple[Floats, Floats]:
    """What is resampled, clusters or questions: their sums (rows, units) and their sizes (units,)."""
    count = table.shape[1]
    if clusters is not None:
        index: dict[Hashable, int] = {}
        codes = np.array([index.setdefault(label, len(index)) for label in clusters])
        if len(codes) != count:
            raise ValueError(f"{len(codes)} cluster labels for {count} values")
        if len(index) > 1:
            sums: Floats = np.stack([np.bincount(codes, weights=row) for row in table]).astype(np.float64)
            return sums, np.bincount(codes).astype(np.float64)
    return table, np.ones(count)


def _resampled_means(sums: Floats, sizes: Floats, resamples: int, seed: int) -> Floats:
    """Means of `resamples` draws of rows and of units, both with replacement, shape (resamples,)."""
    if resamples < 1:
        raise ValueError(f"resamples must be at least 1, not {resamples}")
    rng = np.random.default_rng(seed)
    rows, units = sums.shape
    step = max(1, _CHUNK // units)
    means = []
    for begin in range(0, resamples, step):
        draws = min(step, resamples - begin)
        of_units = _times_drawn(rng, draws, units)  # (draws, units)
        of_rows = _times_drawn(rng, draws, rows)  # (draws, rows); all ones where there is one row
        total = ((of_units @ sums.T) * of_rows).sum(axis=1)  # (draws,)
        means.append(total / (rows * (of_units @ sizes)))
    return np.concatenate(means)


def _times_drawn(rng: np.random.Generator, draws: int, units: int) -> Floats:
    """How often each unit is drawn in each resample, shape (draws, units); each row sums to `units`."""
    drawn = rng.integers(units, size=(draws, units)) + units * np.arange(draws)[:, None]
    return np.bincount(drawn.ravel(), minlength=draws * units).reshape(draws, units).astype(np.float64)


def _interval(means: Floats, level: float) -> tuple[float, float]:
    if not 0 < level < 1:
        raise ValueError(f"level must be between 0 and 1, not {level}")
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)
