"""A document as a list of sentences that a summary may choose from: trimmed, measured, duplicates known."""

from __future__ import annotations

import unicodedata
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from enum import IntEnum
from itertools import pairwise

import regex

from app.text.paragraphs import LINE_BREAK
from app.text.sentences import Span, split_long, split_sentences

# A Chinese character says about as much as a third of an English word and a half: limits differ by script.
SHORTEST_WIDE, SHORTEST_OTHER = 5, 20
LONGEST_WIDE, LONGEST_OTHER = 200, 600

_WIDE_LETTER = regex.compile(r"[\p{Han}\p{Hiragana}\p{Katakana}\p{Bopomofo}]")
_LETTER = regex.compile(r"\p{L}")
_MOSTLY_WIDE = 0.25  # share of wide letters: 我用iPhone15拍照 is Chinese
_NOT_WORD = regex.compile(r"[^\p{L}\p{M}\p{N}]+")
# Punctuation that Chinese and English share: the character beyond it tells whether words are spaced here.
_SHARED = "“”‘’…⋯—–·\"'"
_WIDE = regex.compile(r"[\p{Han}\p{Hiragana}\p{Katakana}\p{Bopomofo}\u3001-\u303f\ufe30-\ufe4f\uff01-\uffe6]")


class Tier(IntEnum):
    """How fit a sentence is for a summary; later tiers are chosen only where earlier ones do not fill it."""

    SENTENCE = 0
    SHORT = 1
    FRAGMENT = 2  # goes on with a sentence that was cut for being longer than the whole summary may be
    NO_LETTERS = 3


@dataclass(frozen=True, slots=True)
class Segment:
    """A sentence, or a part of one that is too long to be one.

    Attributes:
        start, end: half-open code points, no white space at either end.
        text: ``document[start:end]``.
        tier: its fitness.
        wide: whether it is written in Chinese or Japanese for the most part.
        paragraph_start: whether it is the first on its line.
        original: index of the first segment that says the same, its own where it is the first.
    """

    start: int
    end: int
    text: str
    tier: Tier
    wide: bool
    paragraph_start: bool
    original: int

    def __len__(self) -> int:
        return self.end - self.start


def segment_document(text: str, max_chars: int | None = None) -> list[Segment]:
    """The sentences of ``text``; one longer than 200 (Chinese) or 600 code points is cut at its clauses.

    With ``max_chars``, where no proper sentence is that short, all longer ones are cut into clauses that are.
    """
    spans: list[Span] = []
    for sentence in split_sentences(text):
        spans.extend(_trimmed(text, [sentence]))
    spans = [part for span in spans for part in _trimmed(text, _balanced(text, span))]
    segments = _described(text, spans)
    if max_chars is not None and not _some_fits(segments, max_chars):
        parts = [_trimmed(text, split_long(text, span, max_chars)) for span in spans]
        fragments = {part.start for first, *rest in parts for part in rest}
        segments = _described(text, [part for group in parts for part in group], fragments)
    return segments


def joined(texts: Sequence[str]) -> str:
    """``texts`` in one line, with a space between two only where both sides are written with spaces."""
    parts = list(texts[:1])
    for left, right in pairwise(texts):
        parts.extend((joint(left, right), right))
    return "".join(parts)


def joint(left: str, right: str) -> str:
    """What stands between two sentences of a summary."""
    before, after = left.rstrip(_SHARED)[-1:], right.lstrip(_SHARED)[:1]
    return "" if _WIDE.match(before) or _WIDE.match(after) else " "


def _trimmed(text: str, spans: Sequence[Span]) -> list[Span]:
    found = []
    for start, end in spans:
        piece = text[start:end]
        first = start + len(piece) - len(piece.lstrip())
        last = start + len(piece.rstrip())
        if first < last:
            found.append(Span(first, last))
    return found


def _balanced(text: str, span: Span) -> list[Span]:
    """``span``, or parts of about the same length where it is too long."""
    length = span.end - span.start
    if length <= LONGEST_WIDE:
        return [span]
    limit = LONGEST_WIDE if _is_wide(text[span.start : span.end]) else LONGEST_OTHER
    if length <= limit:
        return [span]
    parts = -(-length // limit)
    return split_long(text, span, min(limit, length * 11 // (10 * parts)))


def _described(text: str, spans: Sequence[Span], fragments: Collection[int] = ()) -> list[Segment]:
    segments: list[Segment] = []
    firsts: dict[str, int] = {}
    previous = 0
    for index, (start, end) in enumerate(spans):
        piece = text[start:end]
        wide = _is_wide(piece)
        if _LETTER.search(piece) is None:
            tier = Tier.NO_LETTERS
        elif start in fragments:
            tier = Tier.FRAGMENT
        else:
            tier = Tier.SHORT if end - start < (SHORTEST_WIDE if wide else SHORTEST_OTHER) else Tier.SENTENCE
        opens = index == 0 or LINE_BREAK.search(text, previous, start) is not None
        segments.append(Segment(start, end, piece, tier, wide, opens, firsts.setdefault(_key(piece), index)))
        previous = end
    return segments


def _some_fits(segments: Sequence[Segment], max_chars: int) -> bool:
    best = min((segment.tier for segment in segments), default=Tier.SENTENCE)
    return any(segment.tier == best and len(segment) <= max_chars for segment in segments)


def _is_wide(text: str) -> bool:
    letters = len(_LETTER.findall(text))
    return letters > 0 and len(_WIDE_LETTER.findall(text)) >= _MOSTLY_WIDE * letters


def _key(text: str) -> str:
    """What two sentences share that say the same: letters and digits, without case and width."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    return _NOT_WORD.sub(" ", folded).strip() or text
