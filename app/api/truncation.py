"""Cuts a text to a number of tokens at either end, for the request fields that vLLM and TEI have for it."""

from __future__ import annotations

from typing import Literal

from app.errors import ValidationFailed
from app.tasks.model import ServedModel
from app.text.encoder import MalformedText

Side = Literal["left", "right"]


def cut_text(model: ServedModel, text: str, tokens: int | None, side: Side, field: str) -> tuple[str, bool]:
    """The part of ``text`` that ``tokens`` tokens hold, and whether anything was cut.

    Args:
        tokens: with the special tokens; None or -1 is what the model takes.
        side: where tokens are lost.
        field: to name in an error.

    Raises:
        ValidationFailed: the text is malformed, or no token would be left.
    """
    room = model.encoder.room
    if tokens is not None and tokens >= 0:
        specials = model.encoder.max_tokens - room
        if tokens <= specials:
            raise ValidationFailed(
                "truncate_prompt_tokens", f"is {tokens}; special tokens alone take {specials}, ask for more"
            )
        room = min(room, tokens - specials)
    try:
        offsets = model.encoder.encode(text).offsets
    except MalformedText as error:
        raise ValidationFailed(field, str(error), code="malformed") from None
    if len(offsets) <= room:
        return text, False
    if side == "left":
        return text[int(offsets[-room, 0]) :], True
    return text[: int(offsets[room - 1, 1])], True
