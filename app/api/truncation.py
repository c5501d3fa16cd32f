"""Cuts texts to a number of tokens at either end, for the request fields that vLLM and TEI have for it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Literal

from app.errors import ValidationFailed
from app.scheduler.engine import RequestContext
from app.tasks.helpers import check_wanted
from app.tasks.inputs import off_loop
from app.tasks.model import ServedModel
from app.text.encoder import Encoded, MalformedText, TextEncoder

Side = Literal["left", "right"]


async def cut_texts(
    model: ServedModel,
    texts: Sequence[str],
    tokens: int | None,
    side: Side,
    context: RequestContext,
    *,
    field: str,
) -> list[tuple[str, bool]]:
    """The part of each text that ``tokens`` tokens hold, and whether anything was cut.

    Args:
        tokens: with the special tokens; None or -1 is what the model takes.
        side: where tokens are lost.
        context: its timing learns how long it took.
        field: to name in an error, with the text's index where there are several.

    Raises:
        ValidationFailed: a text is malformed, or no token would be left.
    """
    started = time.perf_counter()
    try:
        return await off_loop(sum(map(len, texts)), _cut_all, model.encoder, texts, tokens, side, field)
    finally:
        context.timing.tokenize += time.perf_counter() - started


def _cut_all(
    encoder: TextEncoder, texts: Sequence[str], tokens: int | None, side: Side, field: str
) -> list[tuple[str, bool]]:
    room = encoder.room
    if tokens is not None and tokens >= 0:
        specials = encoder.max_tokens - room
        if tokens <= specials:
            raise ValidationFailed(
                "truncate_prompt_tokens", f"is {tokens}; special tokens alone take {specials}, ask for more"
            )
        room = min(room, tokens - specials)
    return [
        _cut(encoder, text, room, side, f"{field}.{index}" if len(texts) > 1 else field)
        for index, text in enumerate(texts)
    ]


def _cut(encoder: TextEncoder, text: str, room: int, side: Side, field: str) -> tuple[str, bool]:
    check_wanted()
    try:
        encoded = encoder.encode(text)
        if len(encoded) <= room:
            return text, False
        if side == "right":
            return text[: _end(encoded, room, field)], True
        while len(encoded) > room:
            # What followed in a word now begins one, and may take more tokens than before.
            text = text[_start(encoded, room, field) :]
            encoded = encoder.encode(text)
        return text, True
    except MalformedText as error:
        raise ValidationFailed(field, str(error), code="malformed") from None


def _end(encoded: Encoded, room: int, field: str) -> int:
    """Where the first ``room`` tokens end, or fewer where a character of several tokens would be cut."""
    for place in range(room, 0, -1):
        if _parts(encoded, place):
            return int(encoded.offsets[place - 1, 1])
    raise _too_small(field, room)


def _start(encoded: Encoded, room: int, field: str) -> int:
    """Where the last ``room`` tokens start, at the beginning of a word if one begins among them, or fewer
    where a character of several tokens would be cut.
    """
    places = [place for place in range(len(encoded) - room, len(encoded)) if _parts(encoded, place)]
    if not places:
        raise _too_small(field, room)
    words = [place for place in places if not encoded.continuation[place]]
    return int(encoded.offsets[(words or places)[0], 0])


def _parts(encoded: Encoded, place: int) -> bool:
    """Whether the text can be cut between the tokens before and at ``place``: some characters, such as
    families of emoji, are several tokens.
    """
    return bool(encoded.offsets[place - 1, 1] <= encoded.offsets[place, 0])


def _too_small(field: str, room: int) -> ValidationFailed:
    return ValidationFailed(
        field, f"cannot be cut to {room} tokens: one character at that end takes more; ask for more"
    )
