"""From samples to figures: rates that whole batches do not distort, percentiles, what the metrics say."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence

from training.bench.serve.load import Sample


def rate(samples: Sequence[Sample], weights: Sequence[float], warm_up: float) -> float:
    """Weight answered per second after ``warm_up`` seconds.

    A server that batches answers many at once, so the window runs from one answer to another rather than
    over fixed seconds: from the last one in the warm-up to the last one of all clients' common time.

    Args:
        samples: in order of ``finished``.
        weights: of each request, by ``Sample.index``: texts, or tokens over the mean.
    """
    if not samples:
        return 0.0
    first = min(sample.started for sample in samples)
    # After the last request was sent, fewer and fewer clients are at work.
    stop = max(sample.started for sample in samples)
    begin = max((s.finished for s in samples if s.finished <= first + warm_up), default=first)
    good = [sample for sample in samples if sample.answer.status == 200]
    inside = [sample for sample in good if begin < sample.finished <= stop]
    if not inside:
        # So slow that nothing was answered in time: all there is, from the first request on.
        begin, inside = first, good
    if not inside:
        return 0.0
    return sum(weights[s.index] for s in inside) / (inside[-1].finished - begin)


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that at least ``share`` of ``values`` do not exceed; nan when there are none."""
    if not values:
        return math.nan
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def median(values: Sequence[float]) -> float:
    """Median of those that are numbers; nan when none is."""
    numbers = [value for value in values if not math.isnan(value)]
    return statistics.median(numbers) if numbers else math.nan


def parse_metrics(text: str) -> dict[str, float]:
    """Prometheus' text format to sums by name, over all labels."""
    totals: dict[str, float] = {}
    for line in text.splitlines():
        if not line or line.startswith("#"):
            continue
        name, _, value = line.rpartition(" ")
        bare = name.partition("{")[0]
        totals[bare] = totals.get(bare, 0.0) + float(value)
    return totals
