"""Calibration error, bootstrap intervals and paired tests."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.stats import binomtest

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]
BINS = 15


@dataclass(frozen=True, eq=False)
class Reliability:
    """Confidence against accuracy in equal-width bins; empty bins are left out.

    ``confidence``, ``accuracy``: float64 ``[bins]``; ``count``: int64 ``[bins]``; ``error``: the expected
    calibration error, the mean of their absolute difference weighted by count (Naeini et al. 2015).
    """

    confidence: FloatArray
    accuracy: FloatArray
    count: npt.NDArray[np.int64]
    error: float


@dataclass(frozen=True)
class Interval:
    """A figure and its 95 % bootstrap interval."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.4f} [{self.low:.4f}, {self.high:.4f}]"


@dataclass(frozen=True)
class PairedTest:
    """B against A on the same items.

    ``difference``: B - A with its 95 % interval; ``p``: of the two-sided test named ``test``.
    """

    metric: str
    a: float
    b: float
    difference: Interval
    p: float
    test: str
    n: int

    @property
    def verdict(self) -> str:
        """``better``, ``worse`` or ``no difference shown``, at the 5 % level."""
        if self.p >= 0.05 or self.difference.low <= 0 <= self.difference.high:
            return "no difference shown"
        return "better" if self.difference.value > 0 else "worse"


def reliability(confidence: FloatArray, right: BoolArray, bins: int = BINS) -> Reliability:
    """Bin ``confidence [n]`` (0 to 1) and compare with how often it was ``right [n]``."""
    place = np.minimum((confidence * bins).astype(int), bins - 1)
    count = np.bincount(place, minlength=bins)
    used = count > 0
    mean = np.bincount(place, confidence, minlength=bins)[used] / count[used]
    accuracy = np.bincount(place, right.astype(float), minlength=bins)[used] / count[used]
    error = float((count[used] * np.abs(mean - accuracy)).sum() / max(len(confidence), 1))
    return Reliability(mean, accuracy, count[used], error)


def bootstrap(
    figure: Callable[[npt.NDArray[np.int64]], float], n: int, *, resamplings: int, seed: int
) -> Interval:
    """``figure`` (it is given indices) of all ``n`` items, with its interval over resampled ones."""
    generator = np.random.default_rng(seed)
    values = [figure(generator.integers(0, n, size=n)) for _ in range(resamplings)]
    low, high = np.percentile(values, [2.5, 97.5])
    return Interval(figure(np.arange(n)), float(low), float(high))


def mean_interval(values: FloatArray, *, resamplings: int, seed: int) -> Interval:
    """The mean of ``values [n]`` and its bootstrap interval."""
    return bootstrap(mean_of(values), len(values), resamplings=resamplings, seed=seed)


def mean_of(values: FloatArray) -> Callable[[npt.NDArray[np.int64]], float]:
    """The mean of ``values [n]`` as a figure of resampled items."""
    return lambda index: float(values[index].mean())


def macro_f1_of(truth: BoolArray, chosen: BoolArray) -> Callable[[npt.NDArray[np.int64]], float]:
    """Mean F1 over the labels that occur in either, of bool ``[rows, labels]``, of resampled rows.

    Counted once, so that each of a thousand resamplings is a few matrix products.
    """
    true, predicted = truth.astype(np.float64), chosen.astype(np.float64)
    both = true * predicted

    def figure(index: npt.NDArray[np.int64]) -> float:
        weight = np.bincount(index, minlength=len(truth)).astype(np.float64)
        sizes = weight @ true + weight @ predicted
        there = sizes > 0
        return float(np.mean(2 * (weight @ both)[there] / sizes[there])) if there.any() else 0.0

    return figure


def mcnemar(a_right: BoolArray, b_right: BoolArray, *, resamplings: int, seed: int) -> PairedTest:
    """Exact McNemar test on items that one of two classifiers gets right and the other wrong."""
    gained, lost = int((b_right & ~a_right).sum()), int((a_right & ~b_right).sum())
    p = float(binomtest(gained, gained + lost).pvalue) if gained + lost else 1.0
    differences = b_right.astype(float) - a_right.astype(float)
    interval = mean_interval(differences, resamplings=resamplings, seed=seed)
    a, b = float(a_right.mean()), float(b_right.mean())
    return PairedTest("accuracy", a, b, interval, p, "exact McNemar", len(a_right))


def paired_bootstrap(
    metric: str,
    a: Callable[[npt.NDArray[np.int64]], float],
    b: Callable[[npt.NDArray[np.int64]], float],
    n: int,
    *,
    resamplings: int,
    seed: int,
) -> PairedTest:
    """Compare two figures over the same resampled items; ``a`` and ``b`` are given indices.

    ``p`` is twice the smaller share of resamplings in which the difference is not above, or not below, 0.
    """
    generator = np.random.default_rng(seed)
    differences = []
    for _ in range(resamplings):
        index = generator.integers(0, n, size=n)
        differences.append(b(index) - a(index))
    every = np.arange(n)
    values = np.array(differences)
    low, high = np.percentile(values, [2.5, 97.5])
    # The observed data count as one resampling, so that p is never 0.
    tail = (min((values <= 0).sum(), (values >= 0).sum()) + 1) / (resamplings + 1)
    difference = Interval(b(every) - a(every), float(low), float(high))
    return PairedTest(metric, a(every), b(every), difference, min(1.0, 2 * tail), "paired bootstrap", n)
