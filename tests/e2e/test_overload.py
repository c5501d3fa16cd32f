"""More comes than can be done: what is taken is answered in time, the rest is told when to come back."""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path

import pytest

from app.api.call import ARRIVED
from app.api.server import make_config
from app.settings import Settings
from tests.server import Server, running
from tests.toy import toy_bundle

FAULTY = ("-m", "tests.faulty_server")
DEADLINE_S = 6.0
BATCH_S = 0.05


async def ask(server: Server, text: str) -> tuple[int, dict[str, str], float]:
    """Status, headers and seconds of one request on a connection of its own."""
    body = json.dumps({"input": text}, ensure_ascii=False).encode()
    began = time.monotonic()
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    head = f"POST /classify HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\nConnection: close\r\n"
    head += f"Content-Type: application/json\r\nX-Request-Timeout: {DEADLINE_S}\r\n\r\n"
    writer.write(head.encode() + body)
    answer = await reader.read()
    writer.close()
    lines = answer.partition(b"\r\n\r\n")[0].decode().split("\r\n")
    headers = dict(line.lower().split(": ", 1) for line in lines[1:])
    return int(lines[0].split()[1]), headers, time.monotonic() - began


def test_a_burst_of_three_times_what_can_be_done(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    toy_bundle(tmp_path / "models", "sentiment", task="classify")
    monkeypatch.setenv("FAULTY_DELAY", str(BATCH_S))
    with running(
        tmp_path / "models", tmp_path / "run", launcher=FAULTY, batch_tokens=64, parallel_batches=2
    ) as server:
        # One of these fills a batch.
        text = "好" * 50
        able = int(2 * DEADLINE_S / BATCH_S)

        async def story() -> list[tuple[int, dict[str, str], float]]:
            # The speed that was measured at the start did not have the delay in it.
            for _ in range(40):
                await ask(server, text)
            return await asyncio.gather(*(ask(server, text) for _ in range(3 * able)))

        answers = asyncio.run(story())
    statuses = [status for status, _, _ in answers]
    assert set(statuses) == {200, 429}, sorted(set(statuses))
    taken = [seconds for status, _, seconds in answers if status == 200]
    assert max(taken) < DEADLINE_S
    # Half of the time is left for slower moments; on a busy machine fewer are taken, and as safely.
    assert able / 8 < len(taken) < able * 0.75
    promised = [int(headers["retry-after"]) for status, headers, _ in answers if status == 429]
    assert max(promised) <= DEADLINE_S
    assert min(promised) >= 1
    # Those who are refused first are told of all that waits; as long it takes until the last is answered.
    assert 0.4 < max(promised) / max(taken) < 2.5


def test_the_server_tells_when_a_request_arrived() -> None:
    seen: list[float] = []

    async def application(scope: dict[str, object], receive: object, send: object) -> None:
        arrived = scope[ARRIVED]
        assert isinstance(arrived, float)
        seen.append(asyncio.get_running_loop().time() - arrived)

    async def story() -> None:
        loop = asyncio.get_running_loop()
        config = make_config(application, Settings())
        config.load()
        from uvicorn.server import ServerState

        def protocol() -> object:
            return config.http_protocol_class(config=config, server_state=ServerState(), app_state={})  # type: ignore[call-arg, arg-type]

        listening = await loop.create_server(protocol, "127.0.0.1", 0)  # type: ignore[arg-type, type-var]
        reader, writer = await asyncio.open_connection(*listening.sockets[0].getsockname())
        writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        await reader.read()
        writer.close()
        listening.close()

    asyncio.run(story())
    assert len(seen) == 1
    assert 0 <= seen[0] < 5
