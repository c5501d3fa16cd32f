"""How much of a text is Chinese and how much English, by its letters alone.

Users write Chinese, English, and both in one sentence. A Chinese character says about as much as an English
word, so the share compares characters with words, not with letters: 我爱iPhone counts two to one.
"""

from __future__ import annotations

import regex

_HAN = regex.compile(r"\p{Han}")
_LATIN_WORD = regex.compile(r"\p{Latin}[\p{Latin}\p{M}'’]*")


def han_share(text: str) -> float | None:
    """Chinese characters over Chinese characters plus Latin words, 0 to 1; None where there are neither."""
    han = sum(1 for _ in _HAN.finditer(text))
    words = sum(1 for _ in _LATIN_WORD.finditer(text))
    return han / (han + words) if han + words else None
