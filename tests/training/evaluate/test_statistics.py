"""Calibration error by hand, intervals that cover, tests that know no difference from one."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest
from sklearn.metrics import f1_score

from training.evaluate.statistics import (
    Interval,
    PairedTest,
    bootstrap,
    macro_f1_of,
    mcnemar,
    mean_interval,
    paired_bootstrap,
    reliability,
)


def test_calibration_error_by_hand() -> None:
    # Bins of a tenth: [.95 right, .95 wrong] and [.55 right, .55 right, .55 wrong, .55 wrong].
    confidence = np.array([0.95, 0.95, 0.55, 0.55, 0.55, 0.55])
    right = np.array([True, False, True, True, False, False])
    result = reliability(confidence, right, bins=10)
    assert result.error == pytest.approx((2 * 0.45 + 4 * 0.05) / 6)
    np.testing.assert_allclose(result.confidence, [0.55, 0.95])
    np.testing.assert_allclose(result.accuracy, [0.5, 0.5])
    assert result.count.tolist() == [4, 2]


@given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1, max_size=50))
def test_calibration_error_is_a_share_and_counts_everything(rows: list[tuple[float, bool]]) -> None:
    result = reliability(np.array([c for c, _ in rows]), np.array([r for _, r in rows]))
    assert 0 <= result.error <= 1
    assert result.count.sum() == len(rows)


def test_perfect_calibration_has_little_error() -> None:
    generator = np.random.default_rng(0)
    confidence = generator.random(50_000)
    assert reliability(confidence, generator.random(50_000) < confidence).error < 0.02


def test_intervals_cover_the_truth_about_as_often_as_they_say() -> None:
    covered = 0
    for seed in range(100):
        values = (np.random.default_rng(seed).random(150) < 0.7).astype(float)
        interval = mean_interval(values, resamplings=200, seed=seed)
        covered += interval.low <= 0.7 <= interval.high
    assert 85 <= covered <= 100


def test_the_value_of_an_interval_is_that_of_all_items() -> None:
    values = np.array([1.0, 2.0, 6.0])
    assert bootstrap(lambda index: float(values[index].mean()), 3, resamplings=100, seed=0).value == 3.0


def test_macro_f1_is_scikit_learns_over_the_labels_that_occur() -> None:
    generator = np.random.default_rng(0)
    truth, chosen = (np.eye(4, dtype=bool)[generator.integers(0, 3, 40)] for _ in range(2))
    figure = macro_f1_of(truth, chosen)
    assert figure(np.arange(40)) == pytest.approx(
        f1_score(truth.argmax(1), chosen.argmax(1), average="macro", zero_division=0.0)
    )
    assert macro_f1_of(truth, truth)(np.zeros(40, np.int64)) == 1.0, "one label alone, and right"
    assert macro_f1_of(truth[:, 3:], truth[:, 3:])(np.arange(40)) == 0.0


@pytest.mark.parametrize(("gained", "lost"), [(20, 5), (5, 20), (6, 5), (0, 0), (1, 0)])
def test_mcnemar_is_the_binomial_test_of_the_discordant(gained: int, lost: int) -> None:
    a = np.array([False] * gained + [True] * lost + [True] * 30 + [False] * 10)
    b = np.array([True] * gained + [False] * lost + [True] * 30 + [False] * 10)
    result = mcnemar(a, b, resamplings=500, seed=0)
    expected = binomtest(gained, gained + lost).pvalue if gained + lost else 1.0
    assert result.p == pytest.approx(expected)
    assert result.difference.value == pytest.approx((gained - lost) / len(a))
    assert result.verdict == {(20, 5): "better", (5, 20): "worse"}.get((gained, lost), "no difference shown")


def test_the_paired_bootstrap_sees_a_small_difference_on_the_same_items() -> None:
    base = np.random.default_rng(0).normal(0.5, 0.3, size=200)  # far wider than the difference
    better = base + np.random.default_rng(1).normal(0.02, 0.02, size=200)
    result = paired_bootstrap(
        "x", lambda i: base[i].mean(), lambda i: better[i].mean(), 200, resamplings=500, seed=0
    )
    assert result.verdict == "better"
    assert result.p < 0.01
    same = paired_bootstrap(
        "x", lambda i: base[i].mean(), lambda i: base[i].mean(), 200, resamplings=500, seed=0
    )
    assert (same.p, same.verdict) == (1.0, "no difference shown")


def test_p_of_the_paired_bootstrap_is_two_sided_and_counts_the_data_themselves() -> None:
    ones, zeros = np.ones(5), np.zeros(5)
    for a, b in ((zeros, ones), (ones, zeros)):
        result = paired_bootstrap(
            "x", lambda i, a=a: a[i].mean(), lambda i, b=b: b[i].mean(), 5, resamplings=199, seed=0
        )
        # In none of 199 resamplings is the difference on the other side, nor in the data.
        assert result.p == pytest.approx(2 * 1 / 200)


def test_a_verdict_needs_both_the_test_and_the_interval() -> None:
    def verdict(p: float, low: float) -> str:
        return PairedTest("x", 0, 1, Interval(0.1, low, 0.2), p, "test", 9).verdict

    assert verdict(0.01, 0.05) == "better"
    assert verdict(0.2, 0.05) == verdict(0.01, -0.05) == "no difference shown"
