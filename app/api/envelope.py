"""Puts results into the envelope that all tasks share."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Protocol

from app.api.call import Call
from app.api.route import JsonResponse
from app.tasks.model import ServedModel

# The tasks report each item's tokens for the usage; the items themselves do not repeat it.
_WITHOUT_TOKENS = {"data": {"__all__": {"prompt_tokens"}}}


class Result(Protocol):
    """What the envelope needs of one item."""

    @property
    def prompt_tokens(self) -> int:
        """Tokens that the model read for it."""


def envelope(kind: str, call: Call, model: ServedModel, items: Sequence[Result]) -> JsonResponse:
    """The answer to ``call``: ``{id, object, created, model, data, usage}``, serialised once."""
    tokens = sum(item.prompt_tokens for item in items)
    call.tokens = tokens
    content = {
        "id": f"{kind}-{call.request_id}",
        "object": "list",
        "created": int(time.time()),
        "model": model.name,
        "data": items,
        "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
    }
    return JsonResponse(content, exclude=_WITHOUT_TOKENS)
