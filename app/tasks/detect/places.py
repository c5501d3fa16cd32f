"""Where a flagged span can be repaired: its tokens within the window that shows most context around it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from app.tasks.detect.units import FlaggedSpan
from app.tasks.inputs import Prepared
from app.text.offsets import IntArray
from app.text.windows import distance_to_cut

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
    tokens = np.array(span.tokens, np.int64)
    offsets = item.encoded.offsets[tokens]
    if len(tokens) > LONGEST_SPAN or offsets[:, 0].min() < span.start or offsets[:, 1].max() > span.end:
        return None
    # Every token between the first and the last belongs to the span, or the repaired text could not be put
    # together.
    if tokens[-1] - tokens[0] != len(tokens) - 1:
        return None
    holding = [
        (int(distance_to_cut(window, len(item.encoded))[tokens - window.start].min()), -index)
        for index, window in enumerate(item.windows)
        if window.start <= tokens[0] and tokens[-1] < window.end
    ]
    if not holding:
        return None
    index = -max(holding)[1]
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
