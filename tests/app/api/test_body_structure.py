"""What can be a request passes, however it is written; what cannot is stopped at its bytes."""

from __future__ import annotations

import json
import time

import pytest

from app.api.body_structure import check_structure
from app.errors import ValidationFailed
from app.settings import Settings
from app.tasks.detect import MAX_PROTECTED

ITEMS, CHARACTERS = Settings().max_items, Settings().max_characters
HARD = '[{:,"\\' * (CHARACTERS // 6)


def check(body: bytes, max_items: int = ITEMS, max_characters: int = CHARACTERS) -> None:
    check_structure(body, max_items=max_items, max_characters=max_characters)


@pytest.mark.parametrize(
    "body",
    [
        {"input": HARD, "user": HARD * 2},
        {"input": ["a[,"] * ITEMS, "text_pair": ["a{:"] * ITEMS, "top_k": 1},
        {"inputs": [["a", "b"]] * ITEMS, "parameters": {"nested": [1, 2, {"a": []}]}},
        {"input": [[1] * (CHARACTERS // ITEMS)] * ITEMS},
        {"input": [1] * CHARACTERS},
        {"input": HARD, "protected": [{"start": 0, "end": 1}] * MAX_PROTECTED},
    ],
    ids=["text", "texts and pairs", "pairs", "rows of ids", "one row of ids", "ranges"],
)
def test_the_largest_requests_pass(body: object) -> None:
    check(json.dumps(body).encode())
    check(json.dumps(body, indent=2, ensure_ascii=False).encode())


def test_small_limits_leave_room_for_every_field() -> None:
    body = {"input": "a", "protected": [{"start": 0, "end": 1}] * MAX_PROTECTED, "user": HARD}
    check(json.dumps(body).encode(), max_items=1, max_characters=1)


@pytest.mark.parametrize("string", ["", "a", '"', "\\", '\\"', '"\\', "\\\\", '[\\"', "],["])
def test_strings_do_not_hide_what_follows_them(string: str) -> None:
    body = json.dumps({"input": [string, *[[]] * 100_000]}).encode()
    with pytest.raises(ValidationFailed, match="lists, objects"):
        check(body)
    check(json.dumps({"input": string + "[]," * 100_000}).encode())


@pytest.mark.parametrize(
    "unit", [b"[[]],", b"[],", b"{},", b'"a":1,', b"1,", b"[", b'"["[', b'\\",', b'["\\\\"]'], ids=repr
)
def test_what_no_request_is_costs_little(unit: bytes) -> None:
    body = b'{"input":[' + unit * (8_000_000 // len(unit))
    started = time.process_time()
    with pytest.raises(ValidationFailed):
        check(body)
    assert time.process_time() - started < 2
