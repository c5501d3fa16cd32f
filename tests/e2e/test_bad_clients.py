"""Clients that misbehave on the wire: none of them costs the others anything."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.tasks.helpers import HELPERS
from tests.server import Server, eventually, running
from tests.toy import toy_bundle

HEAD = b"POST /classify HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
LONG_TEXT = "今天天气很好。" * 20_000


@pytest.fixture(autouse=True)
def _still_well(server: Server) -> Iterator[None]:
    """Whatever a client does, another one is answered, and nothing is left in the queue."""
    yield
    assert server.post("/classify", {"input": "好"}).status_code == 200
    eventually(lambda: metric(server, "electra_requests_in_flight") == 1)
    assert metric(server, 'electra_queue_tokens{model="sentiment"}') == 0


def metric(server: Server, name: str) -> float:
    for line in server.get("/metrics").text.splitlines():
        if line.startswith(name + " "):
            return float(line.rsplit(" ", 1)[1])
    return 0.0


def read_all(connection: socket.socket) -> bytes:
    """Everything until the server closes."""
    pieces = []
    try:
        while piece := connection.recv(65536):
            pieces.append(piece)
    except ConnectionResetError:
        pass
    return b"".join(pieces)


def status_and_problem(answer: bytes) -> tuple[int, dict[str, object]]:
    head, _, body = answer.partition(b"\r\n\r\n")
    assert b"application/problem+json" in head
    return int(head.split()[1]), json.loads(body)


def request(body: bytes, path: bytes = b"/classify") -> bytes:
    head = HEAD.replace(b"/classify", path)
    return head + b"Content-Length: %d\r\n\r\n" % len(body) + body


def test_hanging_up_while_the_model_works_cancels_the_work(server: Server) -> None:
    before = metric(server, 'electra_dropped_total{reason="cancelled"}')
    body = json.dumps({"input": LONG_TEXT}).encode()
    for _ in range(5):
        with server.connect() as connection:
            connection.sendall(request(body))
            time.sleep(0.1)
    eventually(lambda: metric(server, 'electra_dropped_total{reason="cancelled"}') >= before + 5)


def test_hanging_up_in_the_middle_of_a_body(server: Server) -> None:
    for _ in range(5):
        with server.connect() as connection:
            connection.sendall(HEAD + b"Content-Length: 1000\r\n\r\n" + b'{"input": "')


def test_slow_headers_are_cut_off(server: Server) -> None:
    with server.connect() as connection:
        connection.sendall(b"POST /classify HTTP/1.1\r\nHost: x\r\n")
        started = time.monotonic()
        stop = threading.Event()

        def drip() -> None:
            while not stop.wait(0.2):
                try:
                    connection.sendall(b"X-Slow: y\r\n")
                except OSError:
                    return

        thread = threading.Thread(target=drip)
        thread.start()
        answer = read_all(connection)
        stop.set()
        thread.join()
    assert time.monotonic() - started < 5
    status, problem = status_and_problem(answer)
    assert (status, problem["error_type"]) == (408, "request_timeout")


def test_a_connection_that_never_asks_is_closed(server: Server) -> None:
    with server.connect() as connection:
        started = time.monotonic()
        assert read_all(connection) == b""
        assert time.monotonic() - started < 5


def test_half_a_body_is_answered_in_time(server: Server) -> None:
    with server.connect() as connection:
        connection.sendall(HEAD + b"Content-Length: 1000\r\n\r\n" + b'{"input": "half')
        started = time.monotonic()
        answer = read_all(connection)
    assert time.monotonic() - started < 8
    status, problem = status_and_problem(answer)
    assert (status, problem["error_type"]) == (408, "request_timeout")


def test_a_hundred_megabytes_are_refused_before_they_are_read(server: Server) -> None:
    before = server.resident_bytes()
    with server.connect() as connection:
        connection.sendall(HEAD + b"Content-Length: 100000000\r\n\r\n")
        answer = connection.recv(65536)
        assert answer.startswith(b"HTTP/1.1 413 ")
        sent = 0
        try:
            while sent < 100_000_000:
                connection.sendall(b"x" * 1_000_000)
                sent += 1_000_000
        except OSError:
            pass
    assert server.resident_bytes() - before < 40_000_000


def test_a_hundred_megabytes_in_chunks_are_counted_as_they_come(server: Server) -> None:
    before = server.resident_bytes()
    piece = b"%x\r\n" % 1_000_000 + b"x" * 1_000_000 + b"\r\n"
    answer = b""
    with server.connect() as connection:
        connection.sendall(HEAD + b"Transfer-Encoding: chunked\r\n\r\n")
        connection.setblocking(False)
        buffer = memoryview(piece)
        sent = 0
        deadline = time.monotonic() + 20
        while not answer and sent < 100_000_000 and time.monotonic() < deadline:
            try:
                count = connection.send(buffer)
                sent += count
                buffer = buffer[count:] or memoryview(piece)
            except BlockingIOError:
                time.sleep(0.002)
            except OSError:
                break
            with contextlib.suppress(BlockingIOError):
                answer = connection.recv(65536)
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert sent < 40_000_000
    assert server.resident_bytes() - before < 60_000_000


def test_a_small_chunked_body_is_read(server: Server) -> None:
    def pieces() -> Iterator[bytes]:
        yield b'{"input": '
        yield '"好"}'.encode()

    answer = server.post("/classify", content=pieces(), headers={"Content-Type": "application/json"})
    assert answer.status_code == 200


@pytest.mark.parametrize("framing", ["sized", "chunked", "apart"])
def test_an_offer_of_another_protocol_is_passed_over(server: Server, framing: str) -> None:
    """As java.net.http.HttpClient makes it with every first request to an http:// address."""
    offer = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAoAAA\r\n"
    body = json.dumps({"input": "好"}).encode()
    with server.connect() as connection:
        if framing == "chunked":
            chunks = b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)
            connection.sendall(HEAD + offer + b"Transfer-Encoding: chunked\r\n\r\n" + chunks)
        else:
            connection.sendall(HEAD + offer + b"Content-Length: %d\r\n\r\n" % len(body))
            if framing == "apart":
                time.sleep(0.1)
            connection.sendall(body)
        connection.sendall(request(body).replace(b"Host: x\r\n", b"Host: x\r\nConnection: close\r\n"))
        assert read_all(connection).count(b"HTTP/1.1 200 OK") == 2, "the connection goes on"


def test_endless_trailers_cost_no_memory(server: Server) -> None:
    before = server.resident_bytes()
    with server.connect() as connection:
        connection.sendall(HEAD + b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n")
        with contextlib.suppress(OSError):
            for _ in range(24):
                connection.sendall(b"a:\r\n" * 250_000)
        answer = read_all(connection)
    assert answer == b"" or status_and_problem(answer)[0] == 431
    assert server.resident_bytes() - before < 20_000_000


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 tls\r\n\r\n", 400),
        (b"this is not http\r\n\r\n", 400),
        (b"GET / HTTP/9.9\r\n\r\n", 400),
        (HEAD + b"Content-Length: nine\r\n\r\n", 400),
        (HEAD + b"Content-Length: -1\r\n\r\n", 400),
        (HEAD + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\n12345", 400),
        (HEAD + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n\r\n", 400),
    ],
)
def test_what_is_no_http_is_refused(server: Server, sent: bytes, status: int) -> None:
    with server.connect() as connection:
        connection.sendall(sent)
        answer = read_all(connection)
    assert status_and_problem(answer)[0] == status


def test_endless_headers_are_refused(server: Server) -> None:
    with server.connect() as connection:
        with contextlib.suppress(OSError):
            connection.sendall(HEAD + b"X-Long: " + b"y" * 1_000_000)
        answer = read_all(connection)
    # The client may still have been sending when the connection was closed; then it sees a reset.
    assert answer == b"" or status_and_problem(answer)[0] == 431


def test_headers_of_seventy_kilobytes_get_431(server: Server) -> None:
    with server.connect() as connection:
        connection.sendall(HEAD + b"X-Long: " + b"y" * 70_000)
        assert status_and_problem(read_all(connection))[0] == 431


def test_requests_in_one_breath_are_answered_in_order(server: Server) -> None:
    bodies = [json.dumps({"input": "好" * count}).encode() for count in (1, 2, 3)]
    with server.connect() as connection:
        connection.sendall(b"".join(request(body) for body in bodies[:2]))
        last = request(bodies[2]).replace(b"Host: x\r\n", b"Host: x\r\nConnection: close\r\n")
        connection.sendall(last)
        answer = read_all(connection)
    tokens = [
        json.loads(part.partition(b"\r\n\r\n")[2])["usage"]["prompt_tokens"]
        for part in answer.split(b"HTTP/1.1 200 OK")[1:]
    ]
    assert tokens == [3, 4, 5]


def test_two_hundred_idle_connections_do_not_keep_others_out(server: Server) -> None:
    idle = [server.connect() for _ in range(200)]
    try:
        started = time.monotonic()
        assert server.post("/classify", {"input": "好"}).status_code == 200
        assert time.monotonic() - started < 5
    finally:
        for connection in idle:
            connection.close()


def test_a_head_request_gets_no_body(server: Server) -> None:
    with server.client() as client:
        answer = client.head("/")
        assert answer.status_code == 200
        assert answer.content == b""
        assert client.head("/nowhere").content == b""


def test_fifty_clients_that_hang_up_on_long_texts_cost_little(tmp_path: Path) -> None:
    """A million characters take a second or more to tokenise, and nobody waits for any of it."""
    body = json.dumps({"input": "我喜欢吃苹果，今天天气很好。" * 71_429}, ensure_ascii=False).encode()
    toy_bundle(tmp_path / "models", "sentiment", task="classify")
    with running(tmp_path / "models", tmp_path / "run", max_characters=2_000_000) as server:
        # Long enough for a helper, and for the tokenizer's own threads.
        server.post("/classify", {"input": "好" * 3000})
        status = Path(f"/proc/{server.process.pid}/status")

        def figure(name: str) -> int:
            return int(status.read_text().split(f"{name}:")[1].split()[0])

        threads, peak = figure("Threads"), figure("VmHWM")
        clients = [server.connect() for _ in range(50)]
        for client in clients:
            client.sendall(request(body))
        for client in clients:
            client.close()
        most = threads
        begun = time.monotonic()
        while "electra_requests_in_flight 1.0" not in server.get("/metrics").text:
            most = max(most, figure("Threads"))
            assert time.monotonic() - begun < 60
        # Whoever comes now shares the machine with two texts that were begun, not with fifty.
        answer = server.post("/classify", {"input": "好" * 3000}, headers={"X-Request-Timeout": "20"})
        assert answer.status_code == 200, answer.text
        assert most <= threads + HELPERS
        assert figure("VmHWM") - peak < 1_200_000, "kB: about one such text and what is held of bodies"
