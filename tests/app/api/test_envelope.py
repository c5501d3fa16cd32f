"""The envelope that all tasks share."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from types import SimpleNamespace

from app.api.call import open_call
from app.api.envelope import envelope


@dataclass(frozen=True)
class Item:
    index: int
    prompt_tokens: int


def test_tokens_are_summed_for_the_usage_and_left_out_of_the_items() -> None:
    call = open_call({"type": "http", "method": "POST", "path": "/x", "headers": [(b"x-request-id", b"r1")]})
    model = SimpleNamespace(name="sentiment")
    answer = json.loads(envelope("classify", call, model, [Item(0, 3), Item(1, 4)]).body)  # type: ignore[arg-type]
    assert abs(answer.pop("created") - time.time()) < 60
    assert answer == {
        "id": "classify-r1",
        "object": "list",
        "model": "sentiment",
        "data": [{"index": 0}, {"index": 1}],
        "usage": {"prompt_tokens": 7, "total_tokens": 7},
    }
    assert call.tokens == 7, "for metrics and log"
