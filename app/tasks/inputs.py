"""From the texts of a request to encodings: checked, timed, and off the event loop when they are long."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ParamSpec, TypeVar

from app.errors import ValidationFailed
from app.scheduler.engine import RequestContext
from app.tasks.helpers import check_wanted, help_out
from app.text.encoder import LONG_TEXT, Encoded, MalformedText, TextEncoder
from app.text.sentences import split_sentences
from app.text.windows import Window, cut, plan_windows

P = ParamSpec("P")
T = TypeVar("T")


@dataclass(frozen=True, slots=True, eq=False)
class Prepared:
    """One text, its tokens, and the windows in which the model will read them."""

    text: str
    encoded: Encoded
    windows: list[Window]
    truncated: bool


async def off_loop(characters: int, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Run ``work``, in a helper thread when it handles :data:`LONG_TEXT` code points or more.

    Long texts take long enough for other requests to notice; short ones are not worth the hop.
    """
    if characters < LONG_TEXT:
        return work(*args, **kwargs)
    return await help_out(characters, work, *args, **kwargs)


async def encode_texts(
    encoder: TextEncoder, texts: Sequence[str], context: RequestContext, *, field: str = "input"
) -> list[Encoded]:
    """Tokenize ``texts``; the time goes to ``context.timing.tokenize``.

    Raises:
        ValidationFailed: a text is empty, blank, malformed, or leaves no token; ``field`` and its index say
            which.
    """
    started = time.perf_counter()
    try:
        return await off_loop(sum(map(len, texts)), _encode_all, encoder, texts, field)
    finally:
        context.timing.tokenize += time.perf_counter() - started


async def prepare_texts(
    encoder: TextEncoder,
    texts: Sequence[str],
    context: RequestContext,
    *,
    truncate: bool,
) -> list[Prepared]:
    """Tokenize ``texts`` and plan the windows of those that are longer than the model (or cut them).

    Raises:
        ValidationFailed: as :func:`encode_texts`.
    """
    started = time.perf_counter()
    try:
        return await off_loop(sum(map(len, texts)), _prepare_all, encoder, texts, truncate)
    finally:
        context.timing.tokenize += time.perf_counter() - started


def windows_of(text: str, encoded: Encoded, room: int, *, truncate: bool) -> list[Window]:
    """The windows of one text: one where it fits into ``room`` tokens or is to be cut, else overlapping ones.

    A quarter of the room is repeated from one window to the next.
    """
    if len(encoded) <= room or truncate:
        return [cut(encoded, room)]
    return plan_windows(encoded, room, room // 4, [span.end for span in split_sentences(text)])


def _encode_all(encoder: TextEncoder, texts: Sequence[str], field: str) -> list[Encoded]:
    return [
        _encode(encoder, text, f"{field}.{index}" if len(texts) > 1 else field)
        for index, text in enumerate(texts)
    ]


def _encode(encoder: TextEncoder, text: str, field: str) -> Encoded:
    check_wanted()
    try:
        encoded = encoder.encode(text)
    except MalformedText as error:
        raise ValidationFailed(field, str(error), code="malformed") from None
    if not len(encoded):
        problem = "is empty" if not text else "holds nothing but blanks, control or zero-width characters"
        raise ValidationFailed(field, f"{problem}; send text", code="empty")
    return encoded


def _prepare_all(encoder: TextEncoder, texts: Sequence[str], truncate: bool) -> list[Prepared]:
    prepared = []
    for text, encoded in zip(texts, _encode_all(encoder, texts, "input"), strict=True):
        check_wanted()
        windows = windows_of(text, encoded, encoder.room, truncate=truncate)
        prepared.append(Prepared(text, encoded, windows, truncated=windows[-1].end < len(encoded)))
    return prepared
