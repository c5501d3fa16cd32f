"""How much JSON a body holds, counted on its bytes before anything is made of it.

Parsing makes an object of every list and every field, on the event loop, before a limit of the service can
be looked at: eight megabytes of ``[]`` stop the process for seconds and take hundreds of megabytes.
"""

from __future__ import annotations

import numpy as np

from app.errors import ValidationFailed
from app.tasks.detect import MAX_PROTECTED

_MARKS = b'[{:,"\\'
_OTHER_BYTES = bytes(set(range(256)) - set(_MARKS))
_SPARE = 256
"""Beside inputs and protected parts: the fields of a request, known or not."""


def check_structure(body: bytes, *, max_items: int, max_characters: int) -> None:
    """Let pass what can be a request, by its lists, objects, fields and commas outside strings.

    An item is a list, its place in ``input`` and its place in ``text_pair``; a protected range is an object
    of two fields and its place. Token ids count as characters, so as many commas may stand between them.

    Raises:
        ValidationFailed: more than any request within the limits has.
    """
    most = 4 * max_items + 6 * MAX_PROTECTED + _SPARE
    # Most bodies are through here, and texts with many commas after a second look.
    if sum(map(body.count, (b"[", b"{", b":", b","))) <= most:
        return
    commas, others = _count_outside_strings(body)
    if others > most or commas > most + max_characters:
        raise ValidationFailed(
            "body",
            f"holds {others + commas} lists, objects, fields and commas, more than a request of "
            f"{max_items} inputs and {max_characters} characters can have; send less at a time",
            code="too_many",
        )


def _count_outside_strings(body: bytes) -> tuple[int, int]:
    """Commas, and lists, objects and fields. Milliseconds for a megabyte of whatever kind."""
    # A backslash stands in strings only. Once pairs are gone, one before a quote escapes that quote.
    if b"\\" in body:
        body = body.replace(b"\\\\", b"").replace(b'\\"', b"")
    marks = np.frombuffer(body.translate(None, _OTHER_BYTES), np.uint8)
    inside = np.bitwise_xor.accumulate(marks == ord('"'))
    outside = np.bincount(marks[~inside], minlength=256)
    return int(outside[ord(",")]), int(sum(outside[ord(mark)] for mark in "[{:"))
