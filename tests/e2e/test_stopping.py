"""How the process ends: in order when it is told to, at once and loudly when it cannot go on."""

from __future__ import annotations

import json
import signal
import socket
import threading
import time
from pathlib import Path

import httpx
import pytest

from tests.load import Crowd
from tests.server import eventually, free_port, run_to_end, running
from tests.toy import toy_bundle

FAULTY = ("-m", "tests.faulty_server")


@pytest.fixture
def models(tmp_path: Path) -> Path:
    toy_bundle(tmp_path / "models", "sentiment", task="classify")
    return tmp_path / "models"


def test_sigterm_in_full_load_loses_nothing(
    models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAULTY_DELAY", "0.02")
    with running(models, tmp_path / "run", launcher=FAULTY, drain_delay_s=3) as server:
        with Crowd(server.port, lambda number: {"input": "好" * (1 + number % 7)}, clients=16) as crowd:
            eventually(lambda: len(crowd.answers) > 50)
            server.signal(signal.SIGTERM)
            # A new connection still gets in while the service drains, and readiness is already false.
            probe = eventually(lambda: (answer := server.get("/readyz")).status_code == 503 and answer)
            assert probe.json()["status"] == "draining"
            assert probe.headers["connection"] == "close"
            assert server.get("/livez").status_code == 200
            code = server.wait()
            answers = crowd.stop()
        assert code == 0, server.log
        assert {answer.status for answer in answers} == {200}, [a.error for a in answers if a.status != 200]
        for answer in answers:
            data = answer.json()["data"]
            assert len(data) == 1  # type: ignore[arg-type]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_stop_waits_for_what_is_in_flight(
    models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: signal.Signals
) -> None:
    """A closed terminal (SIGHUP) is a stop like any other."""
    monkeypatch.setenv("FAULTY_DELAY", "1.0")
    # Under `nohup`, which these tests may run under, SIGHUP would be ignored, as it should be.
    before = signal.signal(number, signal.SIG_DFL)
    with running(models, tmp_path / "run", launcher=FAULTY) as server:
        signal.signal(number, before)
        statuses: list[int] = []
        thread = threading.Thread(
            target=lambda: statuses.append(server.post("/classify", {"input": "好"}).status_code)
        )
        thread.start()
        eventually(lambda: "electra_requests_in_flight 2.0" in server.get("/metrics").text)
        server.signal(number)
        assert server.wait() == 0
        thread.join()
        assert statuses == [200]


def test_what_could_not_be_finished_in_time_is_told_so(
    models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAULTY_DELAY", "4.0")
    with running(models, tmp_path / "run", launcher=FAULTY, shutdown_timeout_s=1) as server:
        answers: list[httpx.Response] = []
        thread = threading.Thread(target=lambda: answers.append(server.post("/classify", {"input": "好"})))
        thread.start()
        eventually(lambda: "electra_requests_in_flight 2.0" in server.get("/metrics").text)
        server.signal(signal.SIGTERM)
        assert server.wait() == 0
        thread.join()
    (answer,) = answers
    assert (answer.status_code, answer.json()["error_type"]) == (503, "unhealthy")
    assert answer.headers["retry-after"] == "1"
    assert "Traceback" not in server.log
    (line,) = [line for line in map(json.loads, server.log.splitlines()) if line.get("path") == "/classify"]
    assert (line["status"], line["error_type"]) == (503, "unhealthy")


def test_a_client_that_does_not_read_does_not_hold_up_the_stop(models: Path, tmp_path: Path) -> None:
    body = json.dumps({"prompt": "好" * 400_000, "return_token_strs": True}).encode()
    head = f"POST /tokenize HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n"
    counted = 'electra_requests_total{method="POST",route="/tokenize",status="200"} 1.0'
    with (
        running(models, tmp_path / "run", body_timeout_s=4, shutdown_timeout_s=60) as server,
        socket.socket() as connection,
    ):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.connect(("127.0.0.1", server.port))
        connection.sendall(head.encode() + b"Content-Type: application/json\r\n\r\n" + body)
        eventually(lambda: counted in server.get("/metrics").text, 30)
        started = time.monotonic()
        server.signal(signal.SIGTERM)
        assert server.wait() == 0
        assert time.monotonic() - started < 20


def test_a_second_signal_does_not_wait(models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAULTY_DELAY", "0.5")
    with running(models, tmp_path / "run", launcher=FAULTY, drain_delay_s=60) as server:
        server.signal(signal.SIGINT)
        eventually(lambda: server.get("/readyz").status_code == 503)
        server.signal(signal.SIGINT)
        assert server.wait(20) == 0


def test_a_dead_inference_thread_fails_all_at_once_and_ends_the_process(
    models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAULTY_DELAY", "1")
    with running(models, tmp_path / "run", launcher=FAULTY) as server:
        # The first keeps the engine busy while the others come to wait; the second kills it.
        connections = []
        for text in ("好", "九", *["我" * 9] * 20):
            body = json.dumps({"input": text}).encode()
            head = f"POST /classify HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n"
            connections.append(server.connect())
            connections[-1].sendall(head.encode() + b"Content-Type: application/json\r\n\r\n" + body)
        answers = []
        for connection in connections:
            with connection, connection.makefile("rb") as stream:
                answers.append((int(stream.readline().split()[1]), b'"backend"' in stream.read()))
        assert server.wait() == 70
        assert len(answers) == 22
        assert set(answers) <= {(200, False), (503, True)}
        assert answers.count((503, True)) >= 10
        assert "inference thread ended" in server.log.splitlines()[-1]


def test_a_poisoned_row_fails_alone(models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAULTY_DELAY", "0.05")
    with running(models, tmp_path / "run", launcher=FAULTY) as server:
        texts = ["坏" if number % 5 == 0 else "好" * (number % 4 + 1) for number in range(60)]
        with Crowd(server.port, lambda number: {"input": texts[number % 60]}, clients=12) as crowd:
            eventually(lambda: len(crowd.answers) > 120, 30)
            answers = crowd.stop()
        for answer in answers:
            poisoned = answer.sent == {"input": "坏"}
            assert answer.status == (422 if poisoned else 200), answer
            if poisoned:
                assert answer.json()["error_type"] == "inference"
        assert server.get("/readyz").status_code == 200


def test_a_port_in_use_is_one_clear_line(models: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        for workers in (1, 2):
            done = run_to_end(settings={"models_dir": models, "port": port, "workers": workers})
            assert done.returncode == 1
            cure = "stop what uses it, or set ELECTRA_PORT to another"
            assert done.stderr == f"electra: port {port} on 127.0.0.1 is in use; {cure}\n"


@pytest.mark.parametrize(
    ("settings", "code", "part"),
    [
        ({"prot": 8000}, 2, "ELECTRA_PROT is not a setting; did you mean ELECTRA_PORT?"),
        ({"port": "http"}, 2, "ELECTRA_PORT 'http'"),
        ({"models_dir": "/nowhere/models"}, 1, "/nowhere/models: no such directory; set ELECTRA_MODELS_DIR"),
        ({"api_keys_file": "/nowhere/keys"}, 2, "/nowhere/keys: cannot be read as a list of keys"),
        ({"host": "nowhere.invalid"}, 1, "host 'nowhere.invalid' cannot be resolved"),
        ({"host": "203.0.113.7"}, 1, "cannot listen on 203.0.113.7"),
    ],
)
def test_mistakes_at_start_are_one_clear_line(
    tmp_path: Path, settings: dict[str, object], code: int, part: str
) -> None:
    (tmp_path / "models").mkdir()
    done = run_to_end(settings={"models_dir": tmp_path / "models", "port": free_port(), **settings})
    assert done.returncode == code, done.stderr
    assert part in done.stderr
    assert len(done.stderr.splitlines()) == 1, done.stderr


def test_an_empty_repository_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "models").mkdir()
    done = run_to_end(settings={"models_dir": tmp_path / "models", "port": 0})
    assert done.returncode == 1
    assert "holds no bundle; put one at <name>/<version>/bundle.json" in done.stderr.splitlines()[-1]


def test_only_refused_bundles_is_one_clear_line(models: Path) -> None:
    graph = models / "sentiment" / "1" / "model.onnx"
    content = bytearray(graph.read_bytes())
    content[100] ^= 1
    graph.write_bytes(content)
    done = run_to_end(settings={"models_dir": models, "port": 0})
    assert done.returncode == 1
    last = done.stderr.splitlines()[-1]
    assert last.startswith("electra: no model can be served: sentiment/1:")
    assert "model.onnx: differs from its checksum" in last


def test_without_a_model_it_can_wait_for_the_first(tmp_path: Path) -> None:
    port = free_port()
    with running(
        tmp_path / "models", tmp_path / "run", wait=False, port=port, require_models=False
    ) as server:
        server.url = f"http://127.0.0.1:{port}"
        (tmp_path / "models").mkdir()

        def live() -> bool:
            with socket.socket() as probe:
                return probe.connect_ex(("127.0.0.1", port)) == 0

        eventually(live, 60)
        waiting = server.get("/readyz")
        assert (waiting.status_code, waiting.headers["retry-after"]) == (503, "1")
        assert server.get("/livez").status_code == 200
        refused = server.post("/classify", {"input": "好"})
        assert (refused.status_code, refused.json()["error_type"]) == (503, "unhealthy")
        assert int(refused.headers["retry-after"]) >= 1
        toy_bundle(tmp_path / "models", "sentiment", task="classify")
        eventually(lambda: server.get("/readyz").status_code == 200, 30)
        assert server.post("/classify", {"input": "好"}).status_code == 200


def test_help_lists_every_setting_quickly() -> None:
    from app.settings import Settings, variable

    started = time.monotonic()
    done = run_to_end("--help", settings={})
    assert done.returncode == 0
    assert time.monotonic() - started < 20
    flat = " ".join(done.stdout.split())
    for name in Settings.names():
        assert "--" + name.replace("_", "-") in flat
        assert variable(name) in flat
    assert "--worker" not in flat.replace("--workers", "")


def test_json_log_lines_are_json(models: Path, tmp_path: Path) -> None:
    with running(models, tmp_path / "run") as server:
        server.post("/classify", {"input": "好"})
        server.signal()
        server.wait()
        lines = [json.loads(line) for line in server.log.splitlines()]
    assert all({"time", "level", "logger", "message"} <= set(line) for line in lines)
    assert any(line.get("path") == "/classify" and line["status"] == 200 for line in lines)
