"""Lines of a text, with the lines of a hard-wrapped Latin paragraph put together again."""

from __future__ import annotations

from collections.abc import Iterator

import regex

LINE_BREAK = regex.compile(r"\r\n|[\n\r\x0b\x0c\x85\u2028\u2029]")
# Scripts whose sentences end with full-width marks. Hangul is not among them: it is spaced and ends with "."
# as Latin does.
WIDE = (
    r"\p{Han}\p{Hiragana}\p{Katakana}\p{Bopomofo}"
    r"\u3001-\u303f\ufe10-\ufe1f\ufe30-\ufe4f\uff01-\uff65\uffe0-\uffe6"
)
IS_WIDE = regex.compile(f"[{WIDE}]")

_LIST_MARKER = regex.compile(r"[ \t]*(?:[-*+•◦▪#>|]|\(?\p{Nd}{1,3}[.)、]|\(?[A-Za-z][.)])[ \t]")
_ENDS_OPEN = regex.compile(r"[\p{L}\p{Nd}\p{M},;:\-–—'’()\"”]$")
# Characters of a line that an editor may have broken rather than its author; shorter ones are verses and
# headings, longer ones show that the text is not wrapped. A next line in lower case is evidence by itself.
_WRAPPED_LOWER, _WRAPPED_UPPER, _WIDEST = 30, 50, 120


def paragraphs(text: str) -> Iterator[tuple[int, int]]:
    """Yield ``(start, end)`` code points that tile ``text``: one line, or a wrapped paragraph's lines.

    The line break and the blank lines after a paragraph belong to it. Chinese lines are never put together:
    in Chinese text a line break is the author's.
    """
    start = 0
    previous = ""  # the line before; "" while the paragraph has no visible character yet
    for line_start, line_end in _lines(text):
        line = text[line_start:line_end].strip()
        if not line:
            previous = previous and " "
            continue
        if previous and not _continues(previous, text[line_start:line_end]):
            yield start, line_start
            start = line_start
        previous = text[line_start:line_end]
    if start < len(text):
        yield start, len(text)


def _lines(text: str) -> Iterator[tuple[int, int]]:
    start = 0
    for match in LINE_BREAK.finditer(text):
        yield start, match.end()
        start = match.end()
    if start < len(text):
        yield start, len(text)


def _continues(previous: str, line: str) -> bool:
    """Whether ``line`` goes on with the sentence of ``previous``: an editor broke it at its right margin."""
    head, tail = line.lstrip()[:1], previous.rstrip()
    if not tail or IS_WIDE.match(head) or IS_WIDE.match(tail[-1]) or _LIST_MARKER.match(line):
        return False
    if head.islower():
        return _WRAPPED_LOWER <= len(tail) <= _WIDEST
    return _WRAPPED_UPPER <= len(tail) <= _WIDEST and _ENDS_OPEN.search(tail) is not None
