"""Bodies within limits, work within deadlines, and nothing for clients that are gone."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from app.api.call import call_of, open_call
from app.api.middleware.intake import MOST_BODIES, Intake, Patience
from app.scheduler.engine import RequestContext
from tests.service import FixedModels, call, started

BODY = json.dumps({"input": "好"}).encode()


def message(body: bytes, more: bool = False) -> dict[str, Any]:
    return {"type": "http.request", "body": body, "more_body": more}


def test_a_body_in_pieces_is_one_body(models: FixedModels) -> None:
    async def scenario() -> None:
        async with started(models) as running:
            pieces = [message(BODY[index : index + 1], more=True) for index in range(len(BODY))]
            status, _ = await call(running.app, "/classify", [*pieces, message(b"")])
            assert status == 200

    asyncio.run(scenario())


def test_the_limit_counts_what_comes_not_what_was_announced(models: FixedModels) -> None:
    async def scenario() -> None:
        async with started(models, max_body_bytes=2048) as running:
            whole = b'{"input": "%s"}' % (b"a" * (2048 - 13))
            assert len(whole) == 2048
            assert (await call(running.app, "/classify", [message(whole)]))[0] == 200
            over = [
                message(b" " * 1024, more=True),
                message(b" " * 1024, more=True),
                message(b" ", more=True),
            ]
            status, body = await call(running.app, "/classify", over)
            assert (status, json.loads(body)["error_type"]) == (413, "too_large")
            announced = [(b"content-type", b"application/json"), (b"content-length", b"2049")]
            status, _ = await call(running.app, "/classify", [], headers=announced)
            assert status == 413, "refused before a byte of it is read"
            announced[1] = (b"content-length", b"2048")
            assert (await call(running.app, "/classify", [message(whole)], headers=announced))[0] == 200

    asyncio.run(scenario())


def test_a_body_that_does_not_come_is_408(models: FixedModels) -> None:
    async def scenario() -> None:
        async with started(models, body_timeout_s=0.05) as running:
            status, body = await call(running.app, "/classify", [message(b"{", more=True)], gap_s=0.04)
            assert (status, json.loads(body)["error_type"]) == (408, "request_timeout")

    asyncio.run(scenario())


def test_a_client_that_hangs_up_cancels_the_work(models: FixedModels) -> None:
    async def scenario() -> None:
        models.engine.before = lambda context: asyncio.sleep(30)
        async with started(models) as running:
            status, _ = await call(
                running.app, "/classify", [message(BODY)], gap_s=0.05, then_disconnect=True
            )
            assert status == 0
            assert models.engine.cancelled == 1
            metrics = (await running.client.get("/metrics")).text
            assert 'electra_requests_total{method="POST",route="/classify",status="499"} 1.0' in metrics
            assert 'electra_dropped_total{reason="cancelled"} 1.0' in metrics
            assert "electra_requests_in_flight 1.0" in metrics, "the scrape itself"

    asyncio.run(scenario())


def test_a_client_that_leaves_once_it_has_its_answer_cancels_nothing() -> None:
    """The server reports it like one that hung up; the request was answered all the same."""
    finished: list[bool] = []

    async def answering(scope: Any, receive: Any, send: Any) -> None:
        call_of(scope).status = 200
        await asyncio.sleep(0.01)
        finished.append(True)

    async def scenario() -> None:
        patience = Patience(9.0, "late")
        intake = Intake(
            answering,
            max_body_bytes=99,
            body_timeout_s=9.0,
            task=patience,
            administration=patience,
            administers=lambda path: False,
        )
        messages = [message(BODY)]

        async def receive() -> dict[str, Any]:
            return messages.pop() if messages else {"type": "http.disconnect"}

        async def send(message: Any) -> None:
            raise AssertionError("nothing is to be sent")

        scope = {"type": "http", "method": "POST", "path": "/classify", "headers": []}
        open_call(scope)
        await intake(scope, receive, send)

    asyncio.run(scenario())
    assert finished == [True]


def test_a_client_that_hangs_up_in_its_body_is_no_error(models: FixedModels) -> None:
    async def scenario() -> None:
        async with started(models) as running:
            status, _ = await call(running.app, "/classify", [message(b"{", more=True)], then_disconnect=True)
            assert status == 0

    asyncio.run(scenario())


def test_the_deadline_cancels_the_work_and_says_504(models: FixedModels) -> None:
    async def scenario() -> None:
        models.engine.before = lambda context: asyncio.sleep(30)
        async with started(models, request_timeout_s=0.1) as running:
            for headers in ({}, {"X-Request-Timeout": "0.05"}, {"X-Request-Timeout": "100"}):
                answer = await asyncio.wait_for(
                    running.client.post("/classify", json={"input": "好"}, headers=headers), 5
                )
                assert answer.status_code == 504
                assert answer.json()["error_type"] == "deadline"
            assert models.engine.cancelled == 3

    asyncio.run(scenario())


def test_the_engine_is_told_the_deadline(models: FixedModels) -> None:
    left: list[float] = []

    def note(context: Any) -> None:
        left.append(context.deadline - asyncio.get_running_loop().time())

    async def scenario() -> None:
        models.engine.before = note
        async with started(models, request_timeout_s=20) as running:
            await running.client.post("/classify", json={"input": "好"})
            await running.client.post("/classify", json={"input": "好"}, headers={"X-Request-Timeout": "3"})
            await running.client.post("/classify", json={"input": "好"}, headers={"X-Request-Timeout": "300"})

    asyncio.run(scenario())
    assert [round(seconds) for seconds in left] == [20, 3, 20]


def test_a_timeout_of_its_own_inside_the_work_is_no_deadline(models: FixedModels) -> None:
    def fail(context: Any) -> None:
        raise TimeoutError("something else")

    async def scenario() -> None:
        models.engine.before = fail
        async with started(models) as running:
            answer = await running.client.post("/classify", json={"input": "好"})
            assert (answer.status_code, answer.json()["error_type"]) == (500, "internal")

    asyncio.run(scenario())


def test_many_bodies_together_cannot_fill_the_memory(models: FixedModels) -> None:
    """Each is within its limit; the one too many is told to come again, and room is given back."""

    async def scenario() -> None:
        async with started(models, max_body_bytes=1024, body_timeout_s=0.5) as running:
            part = [message(b" " * 1024, more=True)]
            # Clients that never finish: each holds what it sent until its time is up.
            slow = [
                asyncio.create_task(call(running.app, "/classify", part, gap_s=0.05))
                for _ in range(MOST_BODIES)
            ]
            await asyncio.sleep(0.2)
            status, body = await call(running.app, "/classify", [message(BODY)])
            assert (status, json.loads(body)["error_type"]) == (429, "overloaded")
            await asyncio.gather(*slow)
            assert (await call(running.app, "/classify", [message(BODY)]))[0] == 200

    asyncio.run(scenario())


def test_an_administrator_has_more_time_than_a_request(
    models: FixedModels, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def slow(self: FixedModels, name: str, version: str | None) -> None:
        await asyncio.sleep(0.3)
        self.done.append(("load", name, version))

    monkeypatch.setattr(FixedModels, "load", slow)
    headers = {"Authorization": "Bearer boss"}

    async def scenario() -> None:
        async with started(models, admin_key="boss", request_timeout_s=0.1) as running:
            answer = await running.client.post("/v1/models/sentiment/load", headers=headers)
            assert answer.status_code == 200, answer.text
            assert models.done == [("load", "sentiment", None)]
        async with started(models, admin_key="boss", admin_timeout_s=0.1) as running:
            answer = await running.client.post("/v1/models/sentiment/load", headers=headers)
            assert (answer.status_code, answer.json()["error_type"]) == (504, "deadline")
            assert answer.json()["detail"] == (
                "not done within 0.1 s and given up; what is served is as it was. "
                "Wait longer: X-Request-Timeout, and at most ELECTRA_ADMIN_TIMEOUT_S"
            )
            hurried = {**headers, "X-Request-Timeout": "0.05"}
            answer = await running.client.post("/v1/models/sentiment/load", headers=hurried)
            assert "within 0.05 s" in answer.json()["detail"]
            assert len(models.done) == 1

    asyncio.run(scenario())


def test_what_waited_too_long_for_the_event_loop_is_refused_before_it_is_read(models: FixedModels) -> None:
    async def scenario() -> None:
        async with started(models, admin_key="boss", request_timeout_s=10.0, admin_timeout_s=10.0) as running:
            service, loop = running.app, asyncio.get_running_loop()
            just, late = loop.time() - 0.4, loop.time() - 0.6
            assert (await call(service, "/classify", [message(BODY)], arrived=just))[0] == 200
            before = list(models.accepted)
            status, body = await call(service, "/classify", [], arrived=late)
            assert (status, json.loads(body)["error_type"]) == (429, "overloaded")
            assert models.accepted == before
            # Whoever is in a hurry is told earlier, and an administrator always gets through.
            hurried = [(b"content-type", b"application/json"), (b"x-request-timeout", b"1")]
            assert (await call(service, "/classify", [], headers=hurried, arrived=just))[0] == 429
            # A turn of the event loop is no overload, however little time is left.
            soon = [(b"content-type", b"application/json"), (b"x-request-timeout", b"0.2")]
            arrived = loop.time() - 0.04
            assert (await call(service, "/classify", [message(BODY)], headers=soon, arrived=arrived))[
                0
            ] == 200
            boss = [(b"authorization", b"Bearer boss"), (b"content-type", b"application/json")]
            load = "/v1/models/sentiment/load"
            assert (await call(service, load, [message(b"{}")], headers=boss, arrived=late))[0] == 200

    asyncio.run(scenario())


def test_the_deadline_counts_from_the_arrival(models: FixedModels) -> None:
    deadlines: list[float] = []

    async def scenario() -> None:
        loop = asyncio.get_running_loop()
        models.engine.before = lambda context: deadlines.append(context.deadline)  # type: ignore[arg-type]
        async with started(models, request_timeout_s=10.0) as running:
            arrived = loop.time() - 0.4
            await call(running.app, "/classify", [message(BODY)], arrived=arrived)
            assert deadlines[0] - arrived < 10.2
            # A body that takes its time has its own limit.
            pieces = [message(BODY[:5], more=True), message(BODY[5:])]
            await call(running.app, "/classify", pieces, gap_s=0.3, arrived=loop.time())
            assert deadlines[1] - loop.time() > 9.5

    asyncio.run(scenario())


def test_a_request_ends_however_it_ends(models: FixedModels) -> None:
    ended: list[str] = []

    async def scenario() -> None:
        async with started(models) as running:
            models.engine.before = lambda context: context.on_end(lambda: ended.append("answered"))
            assert (await call(running.app, "/classify", [message(BODY)]))[0] == 200
            assert ended == ["answered"]

            def hanging(context: RequestContext) -> Any:
                context.on_end(lambda: ended.append("hung up"))
                return asyncio.sleep(30)

            models.engine.before = hanging
            await call(running.app, "/classify", [message(BODY)], gap_s=0.05, then_disconnect=True)
            assert ended == ["answered", "hung up"]

    asyncio.run(scenario())
