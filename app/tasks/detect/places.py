"""Where a flagged span can be repaired: its tokens within the window that shows most context around it."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass

import numpy as np

from app.tasks.detect.units import FlaggedSpan
from app.tasks.inputs import Prepared
from app.text.offsets import IntArray

LONGEST_SPAN = 8
"""Tokens beyond which a span gets no suggestions: with so much masked the generator only guesses."""


@dataclass(frozen=True, slots=True, eq=False)
class Place:
    """A flagged span as the models see it.

    Attributes:
        window: (index of the text, index of its window).
        window_ids: the window's tokens, int64 ``[tokens]``.
        positions: the span's tokens within the window, int64 ``[k]``, ascending.
        surfaces: what stands in the text for each of the ``k`` tokens.
        gaps: what stands in the text before each of them within the span, mostly nothing.
        text: the span as it stands.
        score: its probability of having been replaced.
    """

    window: tuple[int, int]
    window_ids: IntArray
    positions: IntArray
    surfaces: tuple[str, ...]
    gaps: tuple[str, ...]
    text: str
    score: float

    @property
    def ids(self) -> tuple[int, ...]:
        """The ids that stand in the span."""
        return tuple(self.window_ids[self.positions].tolist())


def find_place(text_index: int, item: Prepared, span: FlaggedSpan) -> Place | None:
    """The place of ``span``; None where it is too long, cuts a token, or no window holds it whole."""
    first, last = span.tokens[0], span.tokens[-1]
    tokens = np.array(span.tokens, np.int64)
    offsets = item.encoded.offsets[tokens]
    if len(tokens) > LONGEST_SPAN or offsets[:, 0].min() < span.start or offsets[:, 1].max() > span.end:
        return None
    # Every token between the first and the last belongs to the span, or the repaired text could not be put
    # together.
    if last - first != len(tokens) - 1:
        return None
    index = _most_central(item, first, last)
    if index is None:
        return None
    window = item.windows[index]
    gaps, reached = [], span.start
    for start, end in offsets.tolist():
        gaps.append(item.text[reached:start])
        reached = max(reached, end)
    return Place(
        window=(text_index, index),
        window_ids=item.encoded.ids[window.start : window.end],
        positions=tokens - window.start,
        surfaces=tuple(item.text[start:end] for start, end in offsets.tolist()),
        gaps=tuple(gaps),
        text=item.text[span.start : span.end],
        score=span.score,
    )


def _most_central(item: Prepared, first: int, last: int) -> int | None:
    """The window in which tokens ``first`` to ``last`` stand furthest from a cut, the earliest of equals."""
    best: tuple[int, int] | None = None
    total = len(item.encoded)
    index = bisect_right(item.windows, first, key=lambda window: window.start) - 1
    # Both ends of the windows ascend: those that hold the span are neighbours.
    while index >= 0 and last < item.windows[index].end:
        window = item.windows[index]
        before = first - window.start if window.start > 0 else total
        after = window.end - 1 - last if window.end < total else total
        if best is None or min(before, after) >= best[0]:
            best = (min(before, after), index)
        index -= 1
    return None if best is None else best[1]
