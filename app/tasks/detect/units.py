"""From probabilities of tokens to what a reader sees: scored units of the text, and flagged spans."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from app.tasks.detect.grouping import Grouping
from app.text.encoder import Encoded
from app.text.offsets import IntArray
from app.text.scripts import script_of

BoolArray = npt.NDArray[np.bool_]
FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Units:
    """The tokens, characters or words of a text with what is known of each.

    Attributes:
        grouping: where they stand and what they are made of.
        scores: float64 ``[units]``, the greatest probability of each unit's known tokens (of all, where
            none is known).
        unknown: bool ``[units]``, none of its tokens is in the vocabulary.
        ignored: bool ``[units]``, never to be flagged.
    """

    grouping: Grouping
    scores: FloatArray
    unknown: BoolArray
    ignored: BoolArray

    def __len__(self) -> int:
        return len(self.grouping)

    def flagged(self, threshold: float, *, flag_unknown: bool) -> BoolArray:
        """bool ``[units]``: which count as replaced at ``threshold``."""
        flagged = (self.scores >= threshold) & ~self.ignored
        return flagged if flag_unknown else flagged & ~self.unknown


@dataclass(frozen=True, slots=True)
class FlaggedSpan:
    """Touching flagged units of one script or word: code points ``start`` to ``end``, and their tokens."""

    start: int
    end: int
    score: float
    tokens: tuple[int, ...]


def score_units(grouping: Grouping, encoded: Encoded, probabilities: FloatArray, ignored: BoolArray) -> Units:
    """Score each unit of ``grouping`` by its most suspect known token.

    Args:
        grouping: of the tokens of ``encoded``.
        encoded: says which tokens are unknown.
        probabilities: ``[tokens]``.
        ignored: bool ``[units]``.
    """
    if not len(grouping):
        return Units(grouping, np.zeros(0), np.zeros(0, bool), ignored)
    known = np.where(encoded.unknown, -1.0, probabilities)
    of_known = np.maximum.reduceat(known[grouping.members], grouping.first)
    of_all = np.maximum.reduceat(probabilities[grouping.members], grouping.first)
    unknown = of_known < 0
    return Units(grouping, np.where(unknown, of_all, of_known), unknown, ignored)


def flagged_spans(text: str, units: Units, flagged: BoolArray) -> list[FlaggedSpan]:
    """Put ``flagged`` units (bool ``[units]``) together that touch and are in one script or one word."""
    offsets, continues = units.grouping.offsets, units.grouping.continues
    runs: list[list[int]] = []
    for index in np.flatnonzero(flagged).tolist():
        if (
            runs
            and runs[-1][-1] == index - 1
            and _together(text, offsets[index - 1 : index + 1], continues[index])
        ):
            runs[-1].append(index)
        else:
            runs.append([index])
    spans = []
    for run in runs:
        first, after = run[0], run[-1] + 1
        spans.append(
            FlaggedSpan(
                start=int(offsets[first, 0]),
                end=int(offsets[first:after, 1].max()),
                score=float(units.scores[first:after].max()),
                tokens=tuple(units.grouping.tokens(first, after).tolist()),
            )
        )
    return spans


def exempt_ranges(offsets: IntArray, ignored: BoolArray, protected: BoolArray) -> BoolArray:
    """Which ``offsets`` (int64 ``[n, 2]``) are never flagged: all characters ignored, or any protected.

    ``ignored`` and ``protected`` are bool ``[code points]``.
    """
    starts, ends = offsets[:, 0], offsets[:, 1]
    ignored_before = np.concatenate([[0], np.cumsum(ignored)])
    protected_before = np.concatenate([[0], np.cumsum(protected)])
    all_ignored = ignored_before[ends] - ignored_before[starts] == ends - starts
    return np.asarray(all_ignored | (protected_before[ends] > protected_before[starts]), bool)


def document_score(
    encoded: Encoded, probabilities: FloatArray, ignored: BoolArray, protected: BoolArray
) -> float:
    """Mean probability of the known tokens that are neither ignored nor protected; 0 where there are none."""
    counted = ~encoded.unknown & ~exempt_ranges(encoded.offsets, ignored, protected)
    return float(probabilities[counted].mean()) if counted.any() else 0.0


def _together(text: str, offsets: IntArray, continues: bool) -> bool:
    (start, end), (next_start, next_end) = offsets.tolist()
    if next_start > end:
        return False
    return continues or script_of(text[start:end]) == script_of(text[next_start:next_end])
