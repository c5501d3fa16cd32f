"""Lossless sentence splitting for Chinese, English and both in one sentence.

Sentences tile the text: joining them gives the text back, code point by code point. White space after a
sentence belongs to it. No sentence is cut inside a grapheme, and only a blank text has a blank sentence. Time
is linear.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from typing import NamedTuple

import regex

from app.text.chinese_sentences import CLOSERS, Inside, chinese_ends, protected_ranges
from app.text.latin_sentences import latin_ends
from app.text.offsets import GRAPHEME
from app.text.paragraphs import WIDE, paragraphs

# A Chinese sentence may run on over ；clauses: beyond this many code points each clause counts as one.
LONG_SENTENCE = 60
_SHORTEST_CLAUSE = 5

_JOINS_BACK = regex.compile(r"[\p{M}\u200c\u200d\p{Emoji_Modifier}\p{RI}]|[\U000e0020-\U000e007f]")
_WHITE_SPACE = "".join(filter(str.isspace, map(chr, range(0x3001))))  # Unicode has none beyond
_LEFT_OVER = "".join(CLOSERS) + "\"'" + _WHITE_SPACE  # never a sentence by itself
_CLAUSE_END = regex.compile(rf"(?:；|(?<=[{WIDE}]);)[”’」』）)】》〉\"']*\s*")
# Where an over-long sentence is cut first: after these, with the closers and spaces that follow.
_SOFT_BREAKS = tuple(
    regex.compile(pattern)
    for pattern in (r"[；;][”’」』）)】》〉\"']*\s*", r"[，,：:、—][”’」』）)】》〉\"']*\s*", r"\s+")
)


class Span(NamedTuple):
    """Half-open range of code points."""

    start: int
    end: int


def split_sentences(text: str) -> list[Span]:
    """Split ``text`` into sentences that tile it; ``[]`` for the empty text, one span for a blank one."""
    spans: list[Span] = []
    for start, end in paragraphs(text):
        spans.extend(Span(start + first, start + last) for first, last in _sentences(text[start:end]))
    return spans


def split_long(text: str, span: Span, limit: int) -> list[Span]:
    """Cut ``span`` into spans of at most ``limit`` code points that tile it.

    A cut falls after ；if there is one in the second half of the piece, else after ，：、, else after white
    space, else between two graphemes. Only a single grapheme longer than ``limit`` makes a longer piece.

    Raises:
        ValueError: ``limit`` is not positive.
    """
    if limit < 1:
        raise ValueError(f"limit must be at least 1, not {limit}")
    if span.end - span.start <= limit:
        return [span]
    piece = text[span.start : span.end]
    graphemes = [match.end() for match in GRAPHEME.finditer(piece)]
    soft = [[match.end() for match in pattern.finditer(piece)] for pattern in _SOFT_BREAKS]
    known = set(graphemes)
    levels = [[end for end in ends if end in known] for ends in soft] + [graphemes]
    spans: list[Span] = []
    start = 0
    while len(piece) - start > limit:
        cut = _last_break(levels, start, limit) or graphemes[bisect_right(graphemes, start)]
        spans.append(Span(span.start + start, span.start + cut))
        start = cut
    if start < len(piece):
        spans.append(Span(span.start + start, span.end))
    return spans


def _last_break(levels: list[list[int]], start: int, limit: int) -> int | None:
    """The last break of the best kind in the second half of ``(start, start + limit]``."""
    for ends in levels[:-1]:
        index = bisect_right(ends, start + limit) - 1
        if index >= 0 and ends[index] > start + limit // 2:
            return ends[index]
    index = bisect_right(levels[-1], start + limit) - 1
    return levels[-1][index] if index >= 0 and levels[-1][index] > start else None


def _sentences(paragraph: str) -> Iterator[tuple[int, int]]:
    """Sentences of one paragraph; they tile it."""
    protected = protected_ranges(paragraph)
    inside = Inside(protected)
    ends = {*chinese_ends(paragraph, protected), len(paragraph)}
    ends.update(end for end in latin_ends(paragraph) if not inside(end))
    start = scanned = 0
    held = 0  # end of a sentence that is complete unless only closers follow
    for end in sorted(ends):
        end = _whole_grapheme(paragraph, scanned, end)
        if end <= scanned:
            continue
        if paragraph[scanned:end].strip(_LEFT_OVER):
            if held:
                yield from _clauses(paragraph, start, held, protected)
                start = held
            held = end
        elif held:
            held = end
        scanned = end
    yield from _clauses(paragraph, start, len(paragraph), protected)


def _clauses(
    paragraph: str, start: int, end: int, protected: list[tuple[int, int]]
) -> Iterator[tuple[int, int]]:
    """``start, end`` itself, or its clauses where it is long and made of ；clauses."""
    if end - start > LONG_SENTENCE:
        inside = Inside(protected)
        for match in _CLAUSE_END.finditer(paragraph, start, end):
            cut = match.end()
            rest = len(paragraph[cut:end].strip())
            long_enough = cut - start >= _SHORTEST_CLAUSE and rest >= _SHORTEST_CLAUSE
            if long_enough and not inside(match.start()) and _whole_grapheme(paragraph, start, cut) == cut:
                yield start, cut
                start = cut
    yield start, end


def _whole_grapheme(paragraph: str, start: int, end: int) -> int:
    """``end``, or the end of the grapheme that ``end`` would cut; ``start`` is a grapheme's start."""
    if end >= len(paragraph) or not (_JOINS_BACK.match(paragraph, end) or paragraph[end - 1] == "\u200d"):
        return end
    return next(m.end() for m in GRAPHEME.finditer(paragraph, start) if m.end() >= end)
