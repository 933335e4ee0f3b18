from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from scipy import stats

from gpt2lab.report.stats import bootstrap_interval, paired_bootstrap, seeds_interval


def clustered(rng: np.random.Generator, groups: int, spread: float, sizes: tuple[int, int] = (5, 16)) -> Any:
    """Values with a known mean of 50, and their labels: each cluster has its own level, sd `spread`."""
    labels = np.repeat(np.arange(groups), rng.integers(*sizes, size=groups))
    return 50 + rng.normal(0, spread, groups)[labels] + rng.normal(0, 5, len(labels)), labels


def test_unclustered_equals_scipy() -> None:
    values = np.random.default_rng(1).exponential(10, 120)
    for level in (0.8, 0.95):
        ours = bootstrap_interval(values, level=level, resamples=20_000)
        theirs = stats.bootstrap(
            (values,), np.mean, n_resamples=20_000, method="percentile", confidence_level=level, rng=2
        ).confidence_interval
        width = theirs.high - theirs.low
        assert ours == pytest.approx((theirs.low, theirs.high), abs=0.03 * width)


def test_clustered_equals_the_enumeration_of_all_resamples() -> None:
    values = [1.0, 2.0, 9.0, 4.0, 4.5, 0.5, 7.0, 8.0, 3.0, 2.5]
    labels = ["a", "b", "a", "c", "d", "d", "d", "b", "c", "e"]
    groups = [[v for v, one in zip(values, labels, strict=True) if one == name] for name in "abcde"]
    exact = np.array([sum(map(sum, drawn)) / sum(map(len, drawn)) for drawn in itertools.product(groups, repeat=5)])
    for level in (0.6, 0.9):
        low, high = bootstrap_interval(values, labels, level=level, resamples=40_000)
        tail = (1 - level) / 2
        # The exact distribution is discrete: each end must be a quantile of it up to sampling error.
        assert (exact < low - 1e-9).mean() <= tail + 0.01 and (exact <= low + 1e-9).mean() >= tail - 0.01
        assert (exact > high + 1e-9).mean() <= tail + 0.01 and (exact >= high - 1e-9).mean() >= tail - 0.01


def test_coverage_on_clustered_data_with_a_known_mean() -> None:
    rng = np.random.default_rng(3)
    simulations, by_cluster, naive = 300, 0, 0
    for _ in range(simulations):
        values, labels = clustered(rng, 40, spread=10.0)
        low, high = bootstrap_interval(values, labels, resamples=400)
        by_cluster += low <= 50 <= high
        low, high = bootstrap_interval(values, resamples=400)
        naive += low <= 50 <= high
    # 95 % nominal; 300 simulations have a standard error of 1.3 %, and 40 clusters cost a percent or two.
    assert 0.89 <= by_cluster / simulations <= 0.985
    assert naive / simulations < 0.7


def test_clusters_widen_the_interval_only_where_they_correlate() -> None:
    def widths(spread: float) -> tuple[float, float]:
        values, labels = clustered(np.random.default_rng(5), 60, spread, sizes=(10, 11))
        by_cluster, naive = bootstrap_interval(values, labels), bootstrap_interval(values)
        return by_cluster[1] - by_cluster[0], naive[1] - naive[0]

    by_cluster, naive = widths(spread=10.0)
    # Design effect of equal clusters of m = 10: 1 + (m - 1) * 100 / 125 = 8.2, so 2.9 times as wide.
    assert by_cluster / naive == pytest.approx(8.2**0.5, rel=0.25)
    by_cluster, naive = widths(spread=0.0)
    assert by_cluster / naive == pytest.approx(1.0, rel=0.25)


def test_same_seed_same_interval_and_labels_are_only_names() -> None:
    values, labels = clustered(np.random.default_rng(6), 12, spread=3.0)
    first = bootstrap_interval(values, labels, seed=4)
    assert first == bootstrap_interval(list(values), [f"article {label}" for label in labels], seed=4)
    assert first != bootstrap_interval(values, labels, seed=5)
    wider = bootstrap_interval(values, labels, level=0.99, seed=4)
    assert wider[0] < first[0] < values.mean() < first[1] < wider[1]


def test_one_cluster_falls_back_to_questions() -> None:
    values = np.random.default_rng(7).normal(size=50)
    assert bootstrap_interval(values, ["only"] * 50) == bootstrap_interval(values)
    assert paired_bootstrap(values, values + 1, ["only"] * 50) == paired_bootstrap(values, values + 1)


def test_degenerate_values() -> None:
    assert bootstrap_interval([3.5]) == (3.5, 3.5)
    assert bootstrap_interval([True, True], ["x", "y"]) == (1.0, 1.0)
    assert seeds_interval([[2.0]]) == (2.0, 2.0)
    one = paired_bootstrap([1.0], [0.0])
    assert (one.difference, one.low, one.high, one.p_value) == (1.0, 1.0, 1.0, 1.0)


@pytest.mark.parametrize(
    ("values", "options", "said"),
    [
        ([], {}, "not empty"),
        ([[1.0, 2.0]], {}, "1-d"),
        (3.0, {}, "1-d"),
        ([1.0, float("nan")], {}, "must be finite"),
        ([1.0, 2.0], {"clusters": ["a"]}, "1 cluster labels for 2 values"),
        ([1.0, 2.0], {"clusters": []}, "0 cluster labels for 2 values"),
        ([1.0, 2.0], {"level": 95}, "between 0 and 1"),
        ([1.0, 2.0], {"resamples": 0}, "at least 1"),
    ],
)
def test_wrong_input_is_a_value_error(values: Any, options: dict[str, Any], said: str) -> None:
    for call in (
        lambda: bootstrap_interval(values, **options),
        lambda: paired_bootstrap(values, values, **options),
        lambda: seeds_interval([values, values], **options),
    ):
        with pytest.raises(ValueError, match=said):
            call()


def test_other_lengths_and_no_seeds_are_value_errors() -> None:
    with pytest.raises(ValueError, match="same questions"):
        paired_bootstrap([1.0, 2.0], [1.0])
    with pytest.raises(ValueError, match="same questions"):
        seeds_interval([[1.0, 2.0], [1.0]])
    with pytest.raises(ValueError, match="not empty"):
        seeds_interval([])


def test_paired_is_the_interval_of_the_differences_and_uses_the_pairing() -> None:
    rng = np.random.default_rng(8)
    b, labels = clustered(rng, 30, spread=20.0)
    a = b + 1 + rng.normal(0, 2, len(b))
    test = paired_bootstrap(a, b, labels)
    assert test.difference == pytest.approx((a - b).mean())
    assert (test.low, test.high) == pytest.approx(bootstrap_interval(a - b, labels))
    assert test.low > 0 and test.p_value < 0.01
    # The two systems' own intervals overlap almost wholly: only the pairing tells them apart.
    assert bootstrap_interval(b, labels)[1] > a.mean()
    swapped = paired_bootstrap(b, a, labels)
    assert (swapped.difference, swapped.low) == pytest.approx((-test.difference, -test.high))
    assert swapped.p_value == test.p_value


def test_paired_p_value_agrees_with_its_interval_and_with_the_t_test() -> None:
    rng = np.random.default_rng(9)
    for shift in (0.0, 0.1, 0.2):
        d = rng.normal(shift, 1, 150)
        test = paired_bootstrap(d, np.zeros(150), resamples=10_000)
        assert test.p_value == pytest.approx(stats.ttest_1samp(d, 0).pvalue, abs=0.04)
        assert test.p_value > 0.001  # not at its floor, where there is no level to look for
        level = 1 - test.p_value  # at this level the interval ends at 0
        low, high = bootstrap_interval(d, level=level, resamples=10_000)
        assert min(abs(low), abs(high)) < 0.02


def test_no_difference_is_rejected_about_as_often_as_stated() -> None:
    rng = np.random.default_rng(10)
    rejected = 0
    for _ in range(300):
        d, labels = clustered(rng, 40, spread=5.0)
        rejected += paired_bootstrap(d, np.full(len(d), 50.0), labels, resamples=400).p_value < 0.05
    assert 0.015 <= rejected / 300 <= 0.11


def test_equal_systems_and_few_articles_prove_nothing() -> None:
    scores = [100.0, 0.0, 50.0, 100.0]
    same = paired_bootstrap(scores, scores)
    assert (same.difference, same.low, same.high, same.p_value) == (0.0, 0.0, 0.0, 1.0)
    always = paired_bootstrap([1.0] * 40, [0.0] * 40, ["x", "y"] * 20)
    assert always.p_value == 0.5  # two articles, two signs each: 2 of 4 are as extreme


def test_one_seed_is_the_plain_interval_and_seeds_that_differ_widen_it() -> None:
    rng = np.random.default_rng(11)
    values, labels = clustered(rng, 30, spread=5.0)
    plain = bootstrap_interval(values, labels)
    assert seeds_interval([values], labels) == plain
    assert seeds_interval([values] * 4, labels)[0] == pytest.approx(plain[0], rel=0.01)
    low, high = seeds_interval([values + shift for shift in (-6, -2, 2, 6)], labels)
    assert low < plain[0] - 1 and high > plain[1] + 1


def test_seeds_and_questions_add_their_variances() -> None:
    # Additive effects: the bootstrap variance of the mean is var(seeds) / S + var(questions) / n.
    rng = np.random.default_rng(12)
    seeds, questions = rng.normal(0, 3, 8), rng.normal(0, 20, 60)
    low, high = seeds_interval([shift + questions for shift in seeds], resamples=40_000, level=0.95)
    deviation = (seeds.var() / 8 + questions.var() / 60) ** 0.5
    assert high - low == pytest.approx(2 * stats.norm.ppf(0.975) * deviation, rel=0.04)


def test_seeds_equal_the_enumeration_of_all_resamples() -> None:
    table = np.array([[0.0, 1.0, 5.0], [2.0, 2.0, 9.0], [4.0, 0.0, 4.0]])
    draws = list(itertools.product(range(3), repeat=3))
    exact = np.array([table[np.ix_(s, q)].mean() for s in draws for q in draws])
    low, high = seeds_interval(list(table), level=0.8, resamples=40_000)
    assert (exact < low - 1e-9).mean() <= 0.11 and (exact <= low + 1e-9).mean() >= 0.09
    assert (exact > high + 1e-9).mean() <= 0.11 and (exact >= high - 1e-9).mean() >= 0.09
