"""Which tokens make up one token, character or word of the answer.

Everything is arrays: a text may run to 100,000 characters, and a loop would hold Python's lock for seconds.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from app.tasks.detect.options import Granularity
from app.text.encoder import Encoded
from app.text.offsets import IntArray, grapheme_starts

BoolArray = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Grouping:
    """Units of a text in order, and the tokens that each is made of or lies in.

    Attributes:
        offsets: int64 ``[units, 2]``, code points.
        members: int64 ``[m]``, token indices of the first unit, then of the second, and so on.
        first: int64 ``[units]``, where each unit's part of ``members`` begins.
        continues: bool ``[units]``, the unit belongs to the same word as the one before it.
    """

    offsets: IntArray
    members: IntArray
    first: IntArray
    continues: BoolArray

    def __len__(self) -> int:
        return len(self.offsets)

    def tokens(self, start: int, end: int) -> IntArray:
        """The tokens of units ``start`` to ``end``, ascending, each once."""
        stop = int(self.first[end]) if end < len(self) else len(self.members)
        return np.unique(self.members[int(self.first[start]) : stop])


def group_tokens(text: str, encoded: Encoded, granularity: Granularity) -> Grouping:
    """Group the tokens of ``text`` into units of ``granularity``."""
    # By place: a normaliser may reorder the combining marks of one character.
    order = np.lexsort((encoded.offsets[:, 1], encoded.offsets[:, 0]))
    offsets, continuation = encoded.offsets[order], encoded.continuation[order]
    if not len(order):
        return Grouping(offsets, order, order, continuation)
    if granularity == "token":
        return Grouping(offsets, order, np.arange(len(order)), continuation)
    if granularity == "word":
        return _words(offsets, continuation, order)
    return _characters(text, offsets, continuation, order)


def _words(offsets: IntArray, continuation: BoolArray, order: IntArray) -> Grouping:
    starts, ends = offsets[:, 0], offsets[:, 1]
    # Tokens that share a character, as the pieces of ½, cannot be parted whatever the tokenizer says.
    begins = np.ones(len(order), bool)
    begins[1:] = ~continuation[1:] & (starts[1:] >= np.maximum.accumulate(ends)[:-1])
    first = np.flatnonzero(begins)
    words = np.stack([starts[first], np.maximum.reduceat(ends, first)], axis=1)
    return Grouping(words, order, first, np.zeros(len(first), bool))


def _characters(text: str, offsets: IntArray, continuation: BoolArray, order: IntArray) -> Grouping:
    starts = grapheme_starts(text)
    edges = np.append(starts, len(text))
    # Offsets never cut a grapheme, so each token covers characters begin .. end entirely.
    begin, end = np.searchsorted(starts, offsets[:, 0]), np.searchsorted(starts, offsets[:, 1])
    counts = end - begin
    token = np.repeat(np.arange(len(order)), counts)
    within = np.arange(len(token)) - np.repeat(np.cumsum(counts) - counts, counts)
    character = begin[token] + within
    by_character = np.argsort(character, kind="stable")
    token, character = token[by_character], character[by_character]
    first = np.flatnonzero(np.diff(character, prepend=-1))
    shown, leading = character[first], token[first]
    return Grouping(
        offsets=np.stack([edges[shown], edges[shown + 1]], axis=1),
        members=order[token],
        first=first,
        continues=continuation[leading] | (begin[leading] < shown),
    )
