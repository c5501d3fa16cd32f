"""Positions in text: code points, UTF-16 units and grapheme clusters.

Everything inside the service counts Unicode code points, as Python does. JavaScript, Java and C# count UTF-16
units, so :class:`Utf16Positions` converts on request. What a reader sees as one character (a letter with its
combining marks, an emoji family, a Hangul syllable typed as jamo, CR LF) is one *extended grapheme cluster*
(Unicode Annex 29), which no offset that leaves the service may cut.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
import numpy.typing as npt
import regex

IntArray = npt.NDArray[np.int64]
OffsetUnit = Literal["codepoint", "utf16"]

# A cluster of several code points needs at least one of these; text without any is not searched further.
_MAY_JOIN = regex.compile(
    r"[\p{GCB=Extend}\p{GCB=ZWJ}\p{GCB=SpacingMark}\p{GCB=Prepend}\p{GCB=Regional_Indicator}"
    r"\p{GCB=L}\p{GCB=V}\p{GCB=T}]|\r\n"
)
# \X alone counts back over the whole run at every flag of a row of flags, which takes minutes for a long row.
GRAPHEME = regex.compile(r"\p{RI}\p{RI}(?![\p{GCB=Extend}\p{GCB=ZWJ}\p{GCB=SpacingMark}])|\X")
"""Matches one grapheme cluster, in linear time over the text when matched from its beginning."""


def lone_surrogate(text: str) -> int | None:
    """Position of the first lone surrogate, which is no character; None for well-formed text."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        return error.start
    return None


def grapheme_starts(text: str) -> IntArray:
    """Where each grapheme cluster starts, int64 ``[clusters]``."""
    if _MAY_JOIN.search(text) is None:
        return np.arange(len(text), dtype=np.int64)
    return np.fromiter((match.start() for match in GRAPHEME.finditer(text)), np.int64)


def extend_to_graphemes(text: str, offsets: IntArray) -> IntArray:
    """Widen half-open ``offsets`` (int64 ``[n, 2]``) so that none cuts a grapheme cluster."""
    if not len(offsets) or _MAY_JOIN.search(text) is None:
        return offsets
    floor = np.arange(len(text) + 1, dtype=np.int64)
    ceiling = floor.copy()
    for match in GRAPHEME.finditer(text):
        start, end = match.span()
        if end - start > 1:
            floor[start + 1 : end] = start
            ceiling[start + 1 : end] = end
    return np.stack([floor[offsets[:, 0]], ceiling[offsets[:, 1]]], axis=1)


class Utf16Positions:
    """Converts positions in one text between code points and UTF-16 code units, in constant time each way."""

    def __init__(self, text: str) -> None:
        points = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype="<u4")
        self._utf16 = np.zeros(len(text) + 1, np.int64)
        np.cumsum(1 + (points > 0xFFFF), out=self._utf16[1:])

    @property
    def length(self) -> int:
        """UTF-16 units in the whole text."""
        return int(self._utf16[-1])

    def from_code_point(self, position: int) -> int:
        """UTF-16 position of the code point ``position`` (0 .. length of the text)."""
        return int(self._utf16[position])

    def to_code_point(self, position: int) -> int:
        """Code point position of the UTF-16 ``position``.

        Raises:
            ValueError: outside the text, or between the two halves of a surrogate pair.
        """
        if not 0 <= position <= self.length:
            raise ValueError(f"{position} is outside the text (0 to {self.length} UTF-16 units)")
        index = int(np.searchsorted(self._utf16, position))
        if self._utf16[index] != position:
            raise ValueError(f"{position} falls between the two UTF-16 units of one character")
        return index
