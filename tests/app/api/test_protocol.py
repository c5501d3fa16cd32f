"""One connection, spoken to byte by byte: what reaches the application, and when the connection ends."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import uvloop
from uvicorn.server import ServerState

from app.api.call import ARRIVED
from app.api.protocol import MAX_HEADER_BYTES, GuardedProtocol
from app.api.server import make_config
from app.settings import Settings

HEAD = b"POST /x HTTP/1.1\r\nHost: x\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
UPGRADE = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n"
SECONDS = {"header_timeout_s": 0.4, "body_timeout_s": 0.5, "keep_alive_s": 0.3}
Story = Callable[["Connection"], Awaitable[None]]


class Connection:
    """Both ends of a connection, and an application that answers with what it was sent.

    Its answer begins with ``padding`` bytes and comes after ``delay_s``; ``seen`` holds headers and bodies.
    """

    def __init__(self) -> None:
        self.padding = 0
        self.delay_s = 0.0
        self.reads_body = True
        self.seen: list[tuple[list[tuple[bytes, bytes]], bytes]] = []
        self.lags: list[float] = []
        self.refused: list[tuple[str, str, int, str]] = []
        self.protocol: GuardedProtocol
        self.reader: asyncio.StreamReader
        self.writer: asyncio.StreamWriter

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        self.lags.append(asyncio.get_running_loop().time() - scope[ARRIVED])
        body, more = b"", self.reads_body
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                return
            body += message["body"]
            more = message["more_body"]
        self.seen.append((scope["headers"], body))
        await asyncio.sleep(self.delay_s)
        answer = b"." * self.padding + body
        length = [(b"content-length", str(len(answer)).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": length})
        await send({"type": "http.response.body", "body": answer})

    async def send(self, *pieces: bytes) -> None:
        """Each in a segment of its own."""
        for piece in pieces:
            self.writer.write(piece)
            await asyncio.sleep(0.02)

    async def answer(self) -> bytes:
        """The body of the next answer."""
        head = await asyncio.wait_for(self.reader.readuntil(b"\r\n\r\n"), 5)
        assert head.startswith(b"HTTP/1.1 200 "), head
        length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
        return await asyncio.wait_for(self.reader.readexactly(length), 5)

    async def ended(self, within_s: float) -> bool:
        """Whether the server lets go of the connection in that time."""
        deadline = asyncio.get_running_loop().time() + within_s
        while self.protocol in self.protocol.connections:
            if asyncio.get_running_loop().time() > deadline:
                return False
            await asyncio.sleep(0.01)
        return True


def connected(story: Story, **settings: float) -> None:
    async def run() -> None:
        connection = Connection()
        config = make_config(
            connection,
            Settings(**(SECONDS | settings)),  # type: ignore[arg-type]
            lambda *told: connection.refused.append((*told[:3], told[3].error_type)),
        )
        state = ServerState()
        config.load()

        def protocol() -> GuardedProtocol:
            connection.protocol = GuardedProtocol(config=config, server_state=state, app_state={})
            return connection.protocol

        loop = asyncio.get_running_loop()
        server = await loop.create_server(protocol, "127.0.0.1", 0)
        with socket.socket() as client:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            client.setblocking(False)
            await loop.sock_connect(client, server.sockets[0].getsockname())
            connection.reader, connection.writer = await asyncio.open_connection(sock=client, limit=4096)
            await asyncio.sleep(0.02)
            try:
                await story(connection)
            finally:
                connection.writer.transport.abort()
                server.close()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(run())


SIZED = [HEAD + UPGRADE + b"Content-Length: 3\r\n\r\n", b"abc"]
IN_CHUNKS = [HEAD + UPGRADE + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\na\r\n2\r\nbc\r\n0\r\n\r\n"]


@pytest.mark.parametrize("pieces", [SIZED, IN_CHUNKS, [b"".join(SIZED)], [b"".join(IN_CHUNKS)]])
def test_a_request_that_offers_another_protocol_keeps_its_body(pieces: list[bytes]) -> None:
    async def story(connection: Connection) -> None:
        await connection.send(*pieces)
        assert await connection.answer() == b"abc"
        # The connection goes on, with as many such requests in one breath as the client likes.
        await connection.send(b"".join([*pieces, HEAD, b"Content-Length: 1\r\n\r\nd", *pieces]))
        assert [await connection.answer() for _ in range(3)] == [b"abc", b"d", b"abc"]
        names = {name for name, _ in connection.seen[0][0]}
        assert not names & {b"upgrade", b"http2-settings"}

    connected(story)


@pytest.mark.parametrize("version", [b"1.0", b"1.1"])
def test_an_offer_says_nothing_else_about_the_connection(version: bytes) -> None:
    async def story(connection: Connection) -> None:
        head = HEAD.replace(b"1.1", version) + b"Connection: close, Upgrade\r\nUpgrade: websocket\r\nX: y\r\n"
        await connection.send(head + b"Content-Length: 1\r\n\r\na")
        assert await connection.answer() == b"a"
        assert await connection.ended(0.2)
        headers, _ = connection.seen[0]
        assert headers == [
            (b"host", b"x"),
            (b"connection", b"close"),
            (b"x", b"y"),
            (b"content-length", b"1"),
        ]

    connected(story, keep_alive_s=9)


def test_trailers_are_nobodys_headers() -> None:
    async def story(connection: Connection) -> None:
        await connection.send(
            CHUNKED + b"1\r\na\r\n0\r\nX-Trailer: y\r\n", b"Host: z\r\n\r\n" + HEAD + b"\r\n"
        )
        assert await connection.answer() == b"a"
        assert await connection.answer() == b""
        assert connection.seen[0][0] == [(b"host", b"x"), (b"transfer-encoding", b"chunked")]
        assert connection.seen[1][0] == [(b"host", b"x")]

    connected(story)


@pytest.mark.parametrize("unit", [b"a:\r\n", b"a"], ids=["many", "one"])
def test_endless_trailers_end_the_connection(unit: bytes) -> None:
    async def story(connection: Connection) -> None:
        await connection.send(CHUNKED + b"1\r\na\r\n0\r\n")
        for _ in range(8):
            if connection.protocol.transport.is_closing():
                break
            await connection.send(unit * (MAX_HEADER_BYTES // len(unit) // 2))
        assert connection.protocol.transport.is_closing()
        assert connection.protocol.headers == [(b"host", b"x"), (b"transfer-encoding", b"chunked")]

    connected(story, body_timeout_s=9)


@pytest.mark.parametrize(
    ("sent", "status", "kind"),
    [
        (b"\x16\x03\x01\r\n\r\n", 400, "bad_request"),
        (HEAD, 408, "request_timeout"),
        (HEAD + b"X: " + b"y" * 70_000, 431, "headers_too_large"),
    ],
)
def test_what_no_application_answers_is_told(sent: bytes, status: int, kind: str) -> None:
    async def story(connection: Connection) -> None:
        await connection.send(sent)
        answer = await asyncio.wait_for(connection.reader.read(), 5)
        assert answer.startswith(f"HTTP/1.1 {status} ".encode())
        ((request_id, caller, *told),) = connection.refused
        assert (caller, told) == ("127.0.0.1", [status, kind])
        assert f'"request_id":"{request_id}"'.encode() in answer
        assert f"x-request-id: {request_id}\r\n".encode() in answer

    connected(story)


def test_a_body_in_many_small_chunks_is_no_trailer() -> None:
    async def story(connection: Connection) -> None:
        await connection.send(CHUNKED, *[b"1;" + b"e" * 30_000 + b"\r\na\r\n"] * 8, b"0\r\n\r\n")
        assert await connection.answer() == b"a" * 8

    connected(story, body_timeout_s=9)


def test_a_client_that_does_not_read_its_answer_is_cut_off() -> None:
    async def story(connection: Connection) -> None:
        connection.padding = 30_000_000
        await connection.send(HEAD + b"\r\n")
        assert not await connection.ended(0.3)
        assert await connection.ended(1.5)

    connected(story, keep_alive_s=9)


def test_one_that_closes_behind_itself_is_no_exception() -> None:
    async def story(connection: Connection) -> None:
        connection.padding = 30_000_000
        await connection.send(HEAD + b"Connection: close\r\n\r\n")
        assert await connection.ended(1.5)

    connected(story)


def test_a_client_that_reads_slowly_gets_it_all() -> None:
    async def story(connection: Connection) -> None:
        connection.padding = 8_000_000
        await connection.send(HEAD + b"\r\n")
        read = 0
        while read < connection.padding:
            piece = await asyncio.wait_for(connection.reader.read(65536), 1)
            assert piece, f"cut off after {read} bytes"
            read += len(piece)
            await asyncio.sleep(0.02 * len(piece) / 65536)

    connected(story, keep_alive_s=9)


def test_when_the_service_stops_a_slow_reader_has_one_more_moment() -> None:
    async def story(connection: Connection) -> None:
        connection.padding = 30_000_000
        await connection.send(HEAD + b"\r\n")
        connection.protocol.shutdown()
        assert not await connection.ended(0.3)
        assert await connection.ended(0.6)

    connected(story, keep_alive_s=9)


def test_bytes_that_begin_no_request_keep_nothing_open() -> None:
    async def story(connection: Connection) -> None:
        await connection.send(HEAD + b"\r\n", b"\r\n")
        assert await connection.answer() == b""
        await connection.send(*[b"\r\n"] * 8)
        assert await connection.ended(0.3)

    connected(story)


def test_the_rest_of_a_refused_body_keeps_nothing_open() -> None:
    async def story(connection: Connection) -> None:
        connection.reads_body = False
        await connection.send(HEAD + b"Content-Length: 2\r\n\r\n", b"a", b"b")
        assert await connection.answer() == b""
        assert await connection.ended(0.5)

    connected(story, body_timeout_s=9)


def test_a_refused_body_that_never_ends_is_cut_off() -> None:
    async def story(connection: Connection) -> None:
        connection.reads_body = False
        await connection.send(HEAD + b"Content-Length: 1000\r\n\r\n")
        assert await connection.answer() == b""
        begun = asyncio.get_running_loop().time()
        while not await connection.ended(0.1):
            await connection.send(b"a")
        # Its body's time, and a second for the 408 that a body which is read would get.
        assert 1.2 < asyncio.get_running_loop().time() - begun < 5.0

    connected(story, keep_alive_s=0.2)


def test_a_request_behind_another_has_not_waited_for_the_event_loop() -> None:
    async def story(connection: Connection) -> None:
        connection.delay_s = 0.3
        await connection.send(2 * (HEAD + b"\r\n"))
        assert [await connection.answer() for _ in range(2)] == [b"", b""]
        assert max(connection.lags) < 0.2

    connected(story)


def test_half_a_request_behind_others_is_not_late_while_nobody_reads_it() -> None:
    async def story(connection: Connection) -> None:
        connection.delay_s = 0.7
        connection.reads_body = False
        await connection.send(2 * (HEAD + b"\r\n") + HEAD, b"\r\n")
        assert [await connection.answer() for _ in range(3)] == [b"", b"", b""]

    connected(story)


def test_half_a_request_is_still_answered_when_the_service_stops() -> None:
    async def story(connection: Connection) -> None:
        await connection.send(HEAD)
        connection.protocol.shutdown()
        await connection.send(b"\r\n")
        assert await connection.answer() == b""
        assert await connection.ended(0.2)

    connected(story, keep_alive_s=9)
