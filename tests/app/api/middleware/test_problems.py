"""What becomes of an error on its way out."""

from __future__ import annotations

import asyncio
import json
from types import SimpleNamespace
from typing import Any

import pytest

from app.api.call import ClientGone, open_call
from app.api.middleware.problems import Problems
from app.errors import NotReady


def answers(
    error: BaseException, *, begin: bool = False, method: str = "POST", stopping: bool = False
) -> list[dict[str, Any]]:
    """What is sent where the application raises ``error``, perhaps after it has begun to answer."""
    sent: list[dict[str, Any]] = []

    async def application(scope: Any, receive: Any, send: Any) -> None:
        if begin:
            await send({"type": "http.response.start", "status": 200, "headers": []})
        raise error

    async def send(message: Any) -> None:
        sent.append(message)

    service = SimpleNamespace(lifecycle=SimpleNamespace(stopping=stopping))
    app = SimpleNamespace(state=SimpleNamespace(service=service))
    scope = {"type": "http", "method": method, "path": "/classify", "headers": [], "app": app}
    open_call(scope)
    asyncio.run(Problems(application)(scope, None, send))  # type: ignore[arg-type]
    return sent


def test_a_service_error_is_rendered() -> None:
    start, body = answers(NotReady("loading", 2.0))
    assert start["status"] == 503
    assert (b"retry-after", b"2") in start["headers"]
    assert json.loads(body["body"])["detail"] == "loading"


def test_head_gets_no_body() -> None:
    assert answers(NotReady("loading"), method="HEAD")[1]["body"] == b""


def test_anything_else_is_internal_and_names_where_to_look() -> None:
    start, body = answers(RuntimeError("secret"))
    assert start["status"] == 500
    assert b"secret" not in body["body"]
    assert "request_id" in json.loads(body["body"])["detail"]


def test_half_an_answer_is_not_followed_by_another() -> None:
    assert [message["status"] for message in answers(RuntimeError("late"), begin=True)] == [200]


def test_nobody_answers_a_client_that_is_gone() -> None:
    with pytest.raises(ClientGone):
        answers(ClientGone())


def test_what_the_server_cancels_when_it_stops_is_told_so() -> None:
    start, body = answers(asyncio.CancelledError(), stopping=True)
    assert start["status"] == 503
    assert (b"retry-after", b"1") in start["headers"]
    assert json.loads(body["body"])["error_type"] == "unhealthy"


@pytest.mark.parametrize(("begin", "stopping"), [(True, True), (False, False)])
def test_any_other_cancellation_goes_on(begin: bool, stopping: bool) -> None:
    with pytest.raises(asyncio.CancelledError):
        answers(asyncio.CancelledError(), begin=begin, stopping=stopping)
