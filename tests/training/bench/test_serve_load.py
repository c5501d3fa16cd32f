"""The driver against a server whose every answer is known."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from training.bench.serve.load import BROKEN, Sample, closed_loop, connect, http_request, open_loop

Respond = Callable[[bytes, int], Awaitable[bytes | None]]


def answer(status: int, body: bytes, *headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status} Whatever", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


async def serve(respond: Respond) -> tuple[asyncio.Server, int]:
    """Calls ``respond`` with each body and its number; None closes the connection."""
    count = 0

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal count
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                length = int(head.lower().split("content-length: ")[1].split("\r\n")[0])
                body = await reader.readexactly(length)
                count += 1
                response = await respond(body, count)
                if response is None:
                    break
                writer.write(response)
        except asyncio.IncompleteReadError:
            pass
        writer.close()

    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    return server, server.sockets[0].getsockname()[1]


def drive(respond: Respond, run: Callable[[int], Awaitable[list[Sample]]]) -> list[Sample]:
    async def story() -> list[Sample]:
        server, port = await serve(respond)
        try:
            return await run(port)
        finally:
            server.close()

    return asyncio.run(story())


def test_each_answer_goes_with_its_request_and_time() -> None:
    async def respond(body: bytes, number: int) -> bytes:
        await asyncio.sleep(0.05 if body == b"slow" else 0.0)
        return answer(429 if body == b"slow" else 200, body * 2, "Retry-After: 3")

    requests = [http_request("/x", b"slow"), http_request("/x", b"quick")]
    samples = drive(respond, lambda port: closed_loop(port, requests, clients=4, seconds=0.4))
    assert len(samples) > 8
    assert [s.finished for s in samples] == sorted(s.finished for s in samples)
    for each in samples:
        slow = each.index == 0
        assert each.answer.body == (b"slowslow" if slow else b"quickquick")
        assert each.answer.status == (429 if slow else 200)
        assert each.answer.headers["retry-after"] == "3"
        assert not slow or each.seconds >= 0.045


def test_as_many_are_under_way_as_there_are_clients() -> None:
    most = under_way = 0

    async def respond(body: bytes, number: int) -> bytes:
        nonlocal most, under_way
        under_way += 1
        most = max(most, under_way)
        # On a busy machine some clients come late: the early ones wait for them.
        for _ in range(200):
            if most == 7:
                break
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.02)
        under_way -= 1
        return answer(200, b"")

    drive(respond, lambda port: closed_loop(port, [http_request("/", b"a")], clients=7, seconds=1.0))
    assert most == 7


def test_a_server_that_hangs_up_is_counted_and_asked_again() -> None:
    async def respond(body: bytes, number: int) -> bytes | None:
        return None if number == 2 else answer(200, b"ok", *(["Connection: close"] if number == 4 else []))

    samples = drive(
        respond, lambda port: closed_loop(port, [http_request("/", b"a")], clients=1, seconds=0.3)
    )
    assert [s.answer.status for s in samples[:6]] == [200, BROKEN, 200, 200, 200, 200]


def test_patience_ends() -> None:
    async def respond(body: bytes, number: int) -> bytes:
        await asyncio.sleep(5)
        return answer(200, b"")

    async def run(port: int) -> list[Sample]:
        connection = await connect(port)
        got = await connection.send(http_request("/", b"a"), 0.05)
        assert not connection.open
        return [Sample(0, 0.0, 0.0, got)]

    (only,) = drive(respond, run)
    assert only.answer.status == BROKEN
    assert b"no answer in 0.05 s" in only.answer.body


def test_an_open_loop_does_not_wait_for_answers() -> None:
    async def respond(body: bytes, number: int) -> bytes:
        await asyncio.sleep(0.3)
        return answer(200, b"")

    samples = drive(
        respond,
        lambda port: open_loop(port, [http_request("/", b"a")], rate=200, seconds=0.5, patience=5),
    )
    # 100 are expected with a standard deviation of 10; a loop that waits would send two or so a connection.
    assert 50 < len(samples) < 150
    assert all(s.answer.status == 200 for s in samples)
    assert max(s.started for s in samples) - min(s.started for s in samples) == pytest.approx(0.5, abs=0.15)
