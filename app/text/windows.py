"""Windows over a text that is longer than the model: where they are cut, and how their results become one.

A window is a range of tokens. Neighbours overlap, so that a token near a cut is seen with context on both
sides by one of them. Cuts stand at sentence ends where there is one in the second half of the window,
otherwise between words, and inside a word only where the word alone is longer than the window.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from app.text.encoder import Encoded
from app.text.offsets import IntArray

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Window:
    """Tokens ``start`` (inclusive) to ``end`` (exclusive) of one encoded text."""

    start: int
    end: int

    def __len__(self) -> int:
        return self.end - self.start


def plan_windows(encoded: Encoded, limit: int, overlap: int, sentence_ends: Sequence[int]) -> list[Window]:
    """Cover ``encoded`` with windows of at most ``limit`` tokens that overlap by about ``overlap``.

    Args:
        encoded: the whole text.
        limit: most tokens of text in one window (special tokens not counted), at least 1.
        overlap: tokens that a window repeats of the one before, at most ``limit // 2``. Where a sentence
            starts within them, the window starts there.
        sentence_ends: code point positions just behind each sentence, ascending.

    Returns:
        Windows in order, each reaching further than the one before; none for a text without tokens.

    Raises:
        ValueError: ``limit`` or ``overlap`` is out of range.
    """
    if limit < 1 or not 0 <= overlap <= limit // 2:
        raise ValueError(f"limit {limit} and overlap {overlap} leave no room to advance")
    total = len(encoded)
    if total <= limit:
        return [Window(0, total)] if total else []
    words = _word_starts(encoded)
    sentences = _sentence_starts(encoded, words, sentence_ends)
    windows: list[Window] = []
    start = 0
    while True:
        furthest = min(start + limit, total)
        covered = windows[-1].end if windows else 0
        if furthest == total:
            windows.append(Window(start, total))
            return windows
        least = max(start + limit // 2, covered) + 1
        end = _last(sentences, least, furthest) or _last(words, least, furthest) or furthest
        windows.append(Window(start, end))
        again = end - overlap
        start = _first(sentences, again, end - 1) or _first(words, again, end - 1) or again


def cut(encoded: Encoded, limit: int) -> Window:
    """The first ``limit`` tokens, less a word that would be cut (unless it alone fills the window)."""
    if len(encoded) <= limit:
        return Window(0, len(encoded))
    return Window(0, _last(_word_starts(encoded), 1, limit) or limit)


def merge_centre(
    windows: Sequence[Window], values: Sequence[npt.NDArray[np.floating]], total: int
) -> FloatArray:
    """One value per token: from the window in which the token is furthest from a cut.

    Args:
        windows: as planned; together they cover all ``total`` tokens.
        values: for each window, ``[tokens of the window]``.

    Returns:
        float64 ``[total]``.
    """
    merged = np.zeros(total, np.float64)
    best = np.full(total, -1, np.int64)
    for window, window_values in zip(windows, values, strict=True):
        place = slice(window.start, window.end)
        distance = distance_to_cut(window, total)
        better = distance > best[place]
        merged[place] = np.where(better, window_values, merged[place])
        best[place] = np.maximum(best[place], distance)
    return merged


def distance_to_cut(window: Window, total: int) -> IntArray:
    """Tokens between each token of ``window`` and its nearest cut, int64 ``[tokens of the window]``.

    The beginning and the end of the text are no cuts: nothing is missing there.
    """
    index = np.arange(len(window), dtype=np.int64)
    before = index if window.start > 0 else np.full(len(window), total, np.int64)
    after = len(window) - 1 - index if window.end < total else np.full(len(window), total, np.int64)
    return np.minimum(before, after)


def _word_starts(encoded: Encoded) -> IntArray:
    """Token indices at which a cut parts neither a word nor a character."""
    starts, ends = encoded.offsets[:, 0], encoded.offsets[:, 1]
    apart = np.ones(len(encoded), bool)
    apart[1:] = np.maximum.accumulate(ends)[:-1] <= _least_start_from(starts)[1:]
    return np.flatnonzero(apart & ~encoded.continuation)


def _sentence_starts(encoded: Encoded, words: IntArray, sentence_ends: Sequence[int]) -> IntArray:
    """Those of ``words`` that are the first token behind a sentence end."""
    ends = np.asarray(sentence_ends, np.int64)
    first_behind = np.searchsorted(_least_start_from(encoded.offsets[:, 0]), ends)
    return np.intersect1d(first_behind, words)


def _least_start_from(starts: IntArray) -> IntArray:
    """The least start at or behind each token: ascending even where a normaliser reorders characters."""
    return np.minimum.accumulate(starts[::-1])[::-1]


def _last(places: IntArray, least: int, most: int) -> int | None:
    """The greatest of ascending ``places`` within ``least .. most``, both included."""
    index = int(np.searchsorted(places, most, side="right")) - 1
    return int(places[index]) if index >= 0 and places[index] >= least else None


def _first(places: IntArray, least: int, most: int) -> int | None:
    """The smallest of ascending ``places`` within ``least .. most``, both included."""
    index = int(np.searchsorted(places, least))
    return int(places[index]) if index < len(places) and places[index] <= most else None
