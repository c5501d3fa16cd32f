"""The load: keep-alive connections over plain asyncio, and what came back on them.

Raw protocols and a C parser rather than an HTTP library: on a small machine the driver shares the cores with
what it measures, so it must cost next to nothing. What it does cost is reported with the results.
"""

from __future__ import annotations

import asyncio
import itertools
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass

import httptools

BROKEN = 0
"""Status of a request whose connection broke, or that had no answer in time."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a server said. Header names in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Sample:
    """One request. ``index`` into the requests; times in seconds on ``time.perf_counter``'s clock."""

    index: int
    started: float
    finished: float
    answer: Answer

    @property
    def seconds(self) -> float:
        return self.finished - self.started


def http_request(path: str, body: bytes, headers: Sequence[tuple[str, str]] = ()) -> bytes:
    """A POST of JSON on a connection that stays open."""
    lines = [f"POST {path} HTTP/1.1", "Host: 127.0.0.1", "Content-Type: application/json"]
    lines += [f"Content-Length: {len(body)}", *(f"{name}: {value}" for name, value in headers)]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


class Connection(asyncio.Protocol):
    """One keep-alive connection that carries one request at a time."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._answer: asyncio.Future[Answer] | None = None
        self._start()

    @property
    def open(self) -> bool:
        return self._transport is not None and not self._transport.is_closing()

    async def send(self, request: bytes, patience: float) -> Answer:
        """The answer to ``request``; status ``BROKEN`` when there is none within ``patience`` seconds."""
        if not self.open:
            return Answer(BROKEN, {}, b"not connected")
        loop = asyncio.get_running_loop()
        self._answer = loop.create_future()
        assert self._transport is not None
        self._transport.write(request)
        alarm = loop.call_later(patience, self._fail, f"no answer in {patience:g} s")
        try:
            return await self._answer
        finally:
            alarm.cancel()

    def close(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            self._fail(f"no HTTP: {error}")

    def connection_lost(self, error: Exception | None) -> None:
        self._transport = None
        self._fail(f"connection lost: {error or 'closed by the server'}")

    # ---- httptools' callbacks

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_body(self, part: bytes) -> None:
        self._parts.append(part)

    def on_message_complete(self) -> None:
        answer = Answer(self._parser.get_status_code(), self._headers, b"".join(self._parts))
        keep = self._parser.should_keep_alive()
        waiting, self._answer = self._answer, None
        if not keep:
            self.close()
        self._start()
        if waiting is not None and not waiting.done():
            waiting.set_result(answer)

    def _start(self) -> None:
        self._parser = httptools.HttpResponseParser(self)
        self._headers: dict[str, str] = {}
        self._parts: list[bytes] = []

    def _fail(self, reason: str) -> None:
        waiting, self._answer = self._answer, None
        if waiting is not None and not waiting.done():
            waiting.set_result(Answer(BROKEN, {}, reason.encode()))
            self.close()


async def connect(port: int) -> Connection:
    """A new connection to this machine."""
    _, connection = await asyncio.get_running_loop().create_connection(Connection, "127.0.0.1", port)
    return connection


async def closed_loop(
    port: int, requests: Sequence[bytes], *, clients: int, seconds: float, patience: float = 60.0
) -> list[Sample]:
    """``clients`` that each send the next request as soon as they have an answer, for ``seconds``.

    What is under way at the end is waited for and is in the result too.
    """
    samples: list[Sample] = []
    numbers = itertools.count()
    end = time.perf_counter() + seconds

    async def client() -> None:
        connection = await connect(port)
        while (started := time.perf_counter()) < end:
            if not connection.open:
                connection = await connect(port)
            index = next(numbers) % len(requests)
            answer = await connection.send(requests[index], patience)
            samples.append(Sample(index, started, time.perf_counter(), answer))
        connection.close()

    await asyncio.gather(*(client() for _ in range(clients)))
    return sorted(samples, key=lambda sample: sample.finished)


async def open_loop(
    port: int, requests: Sequence[bytes], *, rate: float, seconds: float, patience: float, seed: int = 0
) -> list[Sample]:
    """Requests at ``rate`` a second, at random moments (Poisson), whether or not others are answered."""
    samples: list[Sample] = []
    idle: list[Connection] = []
    chance = random.Random(seed)
    tasks: set[asyncio.Task[None]] = set()

    async def one(index: int) -> None:
        started = time.perf_counter()
        try:
            connection = idle.pop() if idle else await connect(port)
            answer = await connection.send(requests[index], patience)
        except OSError as error:
            samples.append(
                Sample(index, started, time.perf_counter(), Answer(BROKEN, {}, str(error).encode()))
            )
            return
        samples.append(Sample(index, started, time.perf_counter(), answer))
        if connection.open:
            idle.append(connection)

    begun = due = time.perf_counter()
    for number in itertools.count():
        due += chance.expovariate(rate)
        if due > begun + seconds:
            break
        # Late ones are sent at once, so that a slow driver does not become a gentle one.
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
        task = asyncio.create_task(one(number % len(requests)))
        tasks.add(task)
        task.add_done_callback(tasks.discard)
    if tasks:
        await asyncio.wait(tasks)
    for connection in idle:
        connection.close()
    return sorted(samples, key=lambda sample: sample.finished)
