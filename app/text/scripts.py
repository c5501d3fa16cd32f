"""What kind of characters a piece of text is made of, and where in a text each kind stands."""

from __future__ import annotations

from collections.abc import Iterable
from enum import IntEnum
from typing import Literal

import numpy as np
import numpy.typing as npt
import regex

BoolArray = npt.NDArray[np.bool_]
CharacterClass = Literal["digits", "latin", "punctuation", "url", "emoji"]


class Script(IntEnum):
    """The one script of a piece of text, or ``MIXED``."""

    HAN = 0
    LATIN = 1
    DIGIT = 2
    PUNCTUATION = 3
    OTHER = 4
    MIXED = 5


_EMOJI = (
    r"(?:\p{RI}\p{RI}|[0-9#*]\ufe0f?\u20e3|"
    r"\p{Extended_Pictographic}[\ufe0f\p{EMod}\U000e0020-\U000e007f]*"
    r"(?:\u200d\p{Extended_Pictographic}[\ufe0f\p{EMod}]*)*)"
)
_PUNCTUATION = r"(?:(?![\p{Extended_Pictographic}\p{EMod}\p{RI}])[\p{P}\p{S}]|[#*])"
_URL_CHARACTER = r"[A-Za-z0-9\-._~:/?#\[\]@!$&'()*+,;=%]"
_CLASSES: dict[CharacterClass, regex.Pattern[str]] = {
    # Separators inside a number belong to it, as in 1,000.50 and 12:30.
    "digits": regex.compile(r"\p{N}+(?:[.,:]\p{N}+)*"),
    # A word that starts with a Latin letter, with the digits, apostrophes and hyphens inside it: iPhone15,
    # don't.
    "latin": regex.compile(
        r"\p{Latin}[\p{Latin}\p{M}\p{N}]*(?:['’._\-][\p{Latin}\p{N}][\p{Latin}\p{M}\p{N}]*)*"
    ),
    "punctuation": regex.compile(_PUNCTUATION),
    "url": regex.compile(
        # Not \b: in 见https the boundary lies between two word characters.
        rf"(?i)(?<![a-z0-9])(?:(?:https?|ftp)://{_URL_CHARACTER}+|www\.{_URL_CHARACTER}+"
        r"|[a-z0-9._%+\-]{1,64}@[a-z0-9\-]{1,63}(?:\.[a-z0-9\-]{1,63})+)"
    ),
    "emoji": regex.compile(_EMOJI),
}
CHARACTER_CLASSES: tuple[CharacterClass, ...] = tuple(_CLASSES)
_SCRIPTS: tuple[tuple[Script, regex.Pattern[str]], ...] = (
    (Script.HAN, regex.compile(r"\p{Han}+")),
    (Script.LATIN, regex.compile(r"\p{Latin}[\p{Latin}\p{M}]*")),
    (Script.DIGIT, regex.compile(r"\p{N}+")),
    (Script.PUNCTUATION, regex.compile(_PUNCTUATION + "+")),
    (Script.OTHER, regex.compile(r"(?:(?![\p{Han}\p{Latin}\p{N}\p{P}])\X)+")),
)


def script_of(text: str) -> Script:
    """The script that all of ``text`` is in. Combining marks go with the letter before them.

    Kana, Hangul, emoji and every other script count as ``OTHER``; so does the empty text.
    """
    if not text:
        return Script.OTHER
    for script, pattern in _SCRIPTS:
        if pattern.fullmatch(text):
            return script
    return Script.MIXED


def mark_classes(text: str, classes: Iterable[CharacterClass]) -> BoolArray:
    """bool ``[code points]``: which characters of ``text`` are in any of ``classes``."""
    marked = np.zeros(len(text), bool)
    for name in set(classes):
        for match in _CLASSES[name].finditer(text):
            marked[match.start() : match.end()] = True
    return marked
