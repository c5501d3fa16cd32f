"""From probabilities of tokens to what a reader sees: tokens, characters or words, and flagged spans."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from app.tasks.detect.options import Granularity
from app.text.encoder import Encoded
from app.text.offsets import IntArray, graphemes
from app.text.scripts import script_of

BoolArray = npt.NDArray[np.bool_]
FloatArray = npt.NDArray[np.float64]


_Range = tuple[int, int, tuple[int, ...], bool]
"""Start, end, tokens, and whether it continues a word."""


@dataclass(frozen=True, slots=True)
class Unit:
    """One token, character or word.

    Attributes:
        start, end: code points.
        tokens: indices of the tokens it is made of or lies in, ascending.
        score: the greatest probability of its known tokens (of all, where none is known).
        unknown: none of its tokens is in the vocabulary.
        ignored: never to be flagged.
        continues: it belongs to the same word as the unit before it.
    """

    start: int
    end: int
    tokens: tuple[int, ...]
    score: float
    unknown: bool
    ignored: bool
    continues: bool


@dataclass(frozen=True, slots=True)
class FlaggedSpan:
    """Touching flagged units of one script, code points ``start`` to ``end``, with the tokens beneath."""

    start: int
    end: int
    score: float
    tokens: tuple[int, ...]


def make_units(
    text: str,
    encoded: Encoded,
    probabilities: FloatArray,
    granularity: Granularity,
    ignored: BoolArray,
    protected: BoolArray,
) -> list[Unit]:
    """The units of ``text`` in order.

    Args:
        text: as sent.
        encoded: its tokens.
        probabilities: ``[tokens]``.
        granularity: what one unit is.
        ignored: bool ``[code points]``, characters of the ignored classes.
        protected: bool ``[code points]``, characters of the protected parts.
    """
    ranges = _ranges(text, encoded, granularity)
    offsets = np.array([(start, end) for start, end, _, _ in ranges], np.int64)
    exempt = exempt_ranges(offsets, ignored, protected).tolist()
    units = []
    for (start, end, tokens, continues), is_exempt in zip(ranges, exempt, strict=True):
        known = [index for index in tokens if not encoded.unknown[index]]
        score = float(probabilities[known or list(tokens)].max())
        units.append(Unit(start, end, tokens, score, not known, is_exempt, continues))
    return units


def is_flagged(unit: Unit, threshold: float, *, flag_unknown: bool) -> bool:
    """Whether ``unit`` counts as replaced at ``threshold``."""
    return unit.score >= threshold and not unit.ignored and (flag_unknown or not unit.unknown)


def flagged_spans(
    text: str, units: Sequence[Unit], threshold: float, *, flag_unknown: bool
) -> list[FlaggedSpan]:
    """Put flagged units together that touch and are in one script or one word; in text order."""
    groups: list[list[Unit]] = []
    previous: Unit | None = None
    for unit in units:
        if is_flagged(unit, threshold, flag_unknown=flag_unknown):
            if previous is not None and _belong_together(text, previous, unit):
                groups[-1].append(unit)
            else:
                groups.append([unit])
            previous = unit
        else:
            previous = None
    return [
        FlaggedSpan(
            start=group[0].start,
            end=max(unit.end for unit in group),
            score=max(unit.score for unit in group),
            tokens=tuple(sorted({index for unit in group for index in unit.tokens})),
        )
        for group in groups
    ]


def exempt_ranges(offsets: IntArray, ignored: BoolArray, protected: BoolArray) -> BoolArray:
    """Which ``offsets`` (int64 ``[n, 2]``) are never flagged: all characters ignored, or any protected."""
    if not len(offsets):
        return np.zeros(0, bool)
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


def _belong_together(text: str, first: Unit, second: Unit) -> bool:
    if second.start > first.end:
        return False
    if second.continues:
        return True
    return script_of(text[first.start : first.end]) == script_of(text[second.start : second.end])


def _ranges(text: str, encoded: Encoded, granularity: Granularity) -> list[_Range]:
    tokens = sorted((start, end, index) for index, (start, end) in enumerate(encoded.offsets.tolist()))
    continuation = encoded.continuation.tolist()
    if granularity == "token":
        return [(start, end, (index,), continuation[index]) for start, end, index in tokens]
    if granularity == "word":
        return _words(tokens, continuation)
    return _characters(text, tokens, continuation)


def _words(tokens: Sequence[tuple[int, int, int]], continuation: Sequence[bool]) -> list[_Range]:
    words: list[tuple[int, int, list[int]]] = []
    for start, end, index in tokens:
        # Tokens that share a character, as the pieces of ½, cannot be parted whatever the tokenizer says.
        if words and (continuation[index] or start < words[-1][1]):
            first, last, members = words[-1]
            members.append(index)
            words[-1] = (first, max(last, end), members)
        else:
            words.append((start, end, [index]))
    return [(start, end, tuple(members), False) for start, end, members in words]


def _characters(
    text: str, tokens: Sequence[tuple[int, int, int]], continuation: Sequence[bool]
) -> list[_Range]:
    covering: dict[int, list[int]] = {}
    for start, end, index in tokens:
        for position in range(start, end):
            covering.setdefault(position, []).append(index)
    characters = []
    previous: tuple[int, ...] = ()
    for start, end in graphemes(text):
        members = tuple(covering.get(start, ()))
        if members:
            continues = members[0] in previous or continuation[members[0]]
            characters.append((start, end, members, continues))
        previous = members
    return characters
