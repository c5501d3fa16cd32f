"""Where sentences end in Latin (and other spaced) runs of a paragraph: ``sentencex``, fed in bounded pieces.

``sentencex`` knows abbreviations, initials, decimals, URLs and quotes. Its time grows with the square of its
input's length on non-ASCII text, so it never sees more than a few thousand characters at once.
"""

from __future__ import annotations

import logging

import regex
import sentencex

from app.text.chinese_sentences import CLOSERS, WIDE_MARKS, goes_on
from app.text.paragraphs import WIDE

_log = logging.getLogger(__name__)

_RUN = regex.compile(f"[^{WIDE}]+")
_MARK = regex.compile(r"[.!?…؟۔։।]")
_WORD = regex.compile(r"[\p{L}\p{Nd}]")
_LIST_MARKER = regex.compile(r"\s*\(?(?:\p{Nd}{1,3}|[A-Za-z]|[ivxIVX]{1,5})[.)]\s*")
_NUMBER = regex.compile(r"[\s\p{Nd}.]*")
_SURE_END = regex.compile(r"(?:[!?]|…|\.\.\.)$")
# A plain space in the place of each: sentencex takes line breaks for ends, and panics at a letter, a space of
# several bytes and a full stop.
_SPACE = regex.compile(r"\s")
# Half of a pair: it cannot be written as UTF-8, which sentencex reads.
_SURROGATE = regex.compile(r"\p{Cs}")
_PIECE = 2048
_MARGIN = 64  # ends this near to a piece's cut are decided with the next piece, which sees what follows
# Stands for the Chinese text after a run, so that sentencex decides about its last mark: "Mr." awaits a name.
_PROBE = " Smith went."


def latin_ends(paragraph: str) -> list[int]:
    """Sorted sentence ends (exclusive, after white space) in and after the Latin runs of ``paragraph``."""
    ends: list[int] = []
    for match in _RUN.finditer(paragraph):
        start, end = match.span()
        run = match.group()
        if _MARK.search(run) is None or _WORD.search(run) is None:
            continue
        shadow = _SURROGATE.sub("\ufffd", _SPACE.sub(" ", run))
        ends.extend(start + inner for inner in _inner_ends(shadow) if not _is_marker(paragraph, start, inner))
        if end < len(paragraph) and _ends_before_wide(shadow, paragraph[end]):
            ends.append(end)
    return ends


def _inner_ends(run: str) -> list[int]:
    """Ends strictly inside ``run``."""
    ends: list[int] = []
    position = 0
    while position < len(run):
        piece = run[position : position + _PIECE]
        last = position + len(piece) == len(run)
        limit = len(piece) if last else len(piece) - _MARGIN
        found = [end for end in _boundaries(piece) if end < limit]
        ends.extend(position + end for end in found)
        if last:
            break
        # At least half a piece further, so that the work stays linear; a longer sentence loses only context.
        half = piece.rfind(" ", 0, limit) + 1 or limit
        position += max(found[-1] if found else half, min(half, _PIECE // 2))
        ends = [end for end in ends if end <= position]
    return ends


def _boundaries(piece: str) -> list[int]:
    try:
        found = sentencex.get_sentence_boundaries("en", piece)
    except BaseException as error:
        # Its panics are no Exception, and the request would end without an answer: rather a long sentence.
        # Their message may quote the text, which is not for the log.
        if type(error).__name__ != "PanicException":
            raise
        _log.warning("sentencex panicked; a part of a text stays one sentence")
        return []
    return [int(boundary["end_index"]) for boundary in found]


def _is_marker(paragraph: str, run_start: int, inner: int) -> bool:
    """Whether only a list marker such as ``1.`` or ``(a)`` stands before an end."""
    return run_start == 0 and inner < 16 and _LIST_MARKER.fullmatch(paragraph, 0, inner) is not None


def _ends_before_wide(run: str, following: str) -> bool:
    """Whether the last mark of ``run`` ends a sentence, given that Chinese text begins with ``following``."""
    tail = run.rstrip()
    body = tail.rstrip("".join(CLOSERS) + "\"'")
    # Before further marks the sentence ends after those, as ``chinese_ends`` finds: Wow!！
    if following in WIDE_MARKS or goes_on(following, closed=len(body) < len(tail)):
        return False
    if not body or _MARK.match(body[-1]) is None or _NUMBER.fullmatch(body):
        return False
    if _SURE_END.search(body):
        return True
    tail = tail[-_PIECE // 8 :]
    return len(tail) + 1 in _boundaries(tail + _PROBE)
