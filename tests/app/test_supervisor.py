"""Workers that die are replaced; a service that cannot start ends with the reason."""

from __future__ import annotations

import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from app import supervisor
from app.settings import Settings
from app.shared import MULTIPROCESS_VARIABLE
from app.supervisor import Supervisor


class Process:
    """A process that has ended with ``code``, or runs."""

    def __init__(self, code: int | None, pid: int = 1) -> None:
        self.returncode, self.pid = code, pid

    def poll(self) -> int | None:
        return self.returncode

    def send_signal(self, number: int) -> None:
        self.returncode = 0

    def wait(self, timeout: float | None = None) -> int | None:
        return self.returncode

    kill = send_signal


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.socket() as made:
        yield made


waited: list[bool] = []


@pytest.fixture
def stage(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, listener: socket.socket) -> Any:
    """``stage(codes, turns)`` runs two workers whose processes end as ``codes`` say, for some turns."""
    (tmp_path / "metrics").mkdir()
    monkeypatch.setattr("app.supervisor.signal.signal", lambda *_: None)

    def perform(codes: list[int | OSError | None], turns: int = 20) -> tuple[int, list[int]]:
        made = Supervisor(Settings(workers=2), listener, [], tmp_path)
        started: list[int] = []
        waited.clear()
        clock = iter(range(0, 10_000_000, 40))  # longer than the longest pause from look to look
        monkeypatch.setattr("app.supervisor.time.monotonic", lambda: next(clock))

        def spawn(index: int, *, patient: bool) -> Process:
            started.append(index)
            waited.append(patient)
            code = codes.pop(0) if codes else None
            if isinstance(code, OSError):
                raise code
            return Process(code, len(started))

        def sleep(seconds: float) -> None:
            nonlocal turns
            turns -= 1
            if not turns:
                made._on_signal(15, None)

        monkeypatch.setattr(made, "_spawn", spawn)
        monkeypatch.setattr("app.supervisor.time.sleep", sleep)
        return made.run(), started

    return perform


def test_a_worker_that_dies_is_replaced(stage: Any) -> None:
    assert stage([None, -9]) == (0, [0, 1, 1])
    assert waited == [False, False, True], "only a replacement beside others takes its time"


def test_a_stop_while_a_dead_worker_waits_for_its_turn_ends_well(stage: Any) -> None:
    assert stage([None, -9], turns=1) == (0, [0, 1])


def test_when_one_of_the_first_cannot_start_all_end_with_its_code(stage: Any) -> None:
    assert stage([None, 2]) == (2, [0, 1])


def test_a_replacement_that_cannot_start_leaves_the_others_in_peace(stage: Any) -> None:
    """A bundle that is damaged on disk must not take down the workers that have it in memory."""
    assert stage([None, -9, 1, 1, None]) == (0, [0, 1, 1, 1, 1])


def test_when_no_other_is_left_it_ends(stage: Any) -> None:
    code, started = stage([-9, -9, 1, 1, 1, 1])
    assert code == 1
    assert len(started) <= 6


@pytest.mark.parametrize(("after_s", "failures"), [(9.0, 4), (11.0, 0)])
def test_one_that_runs_steadily_again_has_a_clean_record(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, listener: socket.socket, after_s: float, failures: int
) -> None:
    made = Supervisor(Settings(workers=2), listener, [], tmp_path)
    worker = supervisor._Worker(0, Process(None), since=0.0, failures=4)  # type: ignore[arg-type]
    monkeypatch.setattr("app.supervisor.time.monotonic", lambda: after_s)
    assert made._look_after(worker) is None
    assert worker.failures == failures


def test_one_that_dies_all_night_does_not_end_the_others(stage: Any) -> None:
    code, started = stage([None, *[-9] * 1_500], turns=3_000)
    assert code == 0
    assert len(started) > 1_100


def test_a_replacement_that_the_system_has_no_room_for_is_tried_again(stage: Any) -> None:
    full = OSError(12, "Cannot allocate memory")
    assert stage([None, -9, full, full, None]) == (0, [0, 1, 1, 1, 1])


def test_a_directory_that_was_cleaned_away_is_made_again(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, listener: socket.socket
) -> None:
    monkeypatch.setattr("app.supervisor.subprocess.Popen", lambda *_, **__: Process(None))
    made = Supervisor(Settings(), listener, [], tmp_path / "gone")
    made._spawn(0, patient=True)
    assert (tmp_path / "gone" / "metrics").is_dir()


def test_who_waits_itself_is_nobody_to_wait_beside(
    tmp_path: Path, listener: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = Supervisor(Settings(workers=2), listener, [], tmp_path)
    one, two = (supervisor._Worker(index, Process(None), since=0.0) for index in (0, 1))  # type: ignore[arg-type]
    made._workers = [one, two]
    assert made._others_serve(one, 5.0)
    two.patient = True
    assert not made._others_serve(one, 5.0)
    assert made._others_serve(one, 15.0), "by now it has loaded, or cannot"


def test_a_full_disk_under_the_metrics_is_named(stage: Any, caplog: pytest.LogCaptureFixture) -> None:
    stage([None, -7])
    assert "worker 1 ended with code -7 (SIGBUS: is " in caplog.text
    assert " full? It has " in caplog.text


def test_one_that_the_stop_met_while_it_started_is_no_failure(stage: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr(Process, "send_signal", lambda self, number: setattr(self, "returncode", -number))
    assert stage([None, None], turns=1) == (0, [0, 1])


def test_without_room_and_without_others_it_ends(stage: Any, caplog: pytest.LogCaptureFixture) -> None:
    full = OSError(12, "Cannot allocate memory")
    assert stage([-9, -9, full]) == (1, [0, 1, 0])
    assert "could not be started ([Errno 12] Cannot allocate memory)" in caplog.text


def test_gauges_of_a_dead_worker_are_forgotten(stage: Any, tmp_path: Path) -> None:
    gone, kept = (tmp_path / "metrics" / f"gauge_livesum_{pid}.db" for pid in (2, 9))
    for file in (gone, kept):
        file.touch()
    stage([None, -9])
    assert not gone.exists()
    assert kept.exists()


def test_workers_get_the_port_and_the_command_line(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, listener: socket.socket
) -> None:
    made: dict[str, Any] = {}

    def popen(command: list[str], **options: Any) -> Process:
        made.update(options, command=command)
        return Process(None)

    monkeypatch.setattr("app.supervisor.subprocess.Popen", popen)

    def own() -> Supervisor:
        return Supervisor(Settings(), listener, ["--max-items", "3"], tmp_path)

    monkeypatch.setattr(sys, "path", [str(Path.cwd()), *sys.path])
    own()._spawn(4, patient=False)
    assert made["command"][:5] == [sys.executable, "-m", "app", "--max-items", "3"]
    assert "--worker-patient" not in made["command"]
    # As the command, which takes no module from the current folder.
    monkeypatch.setattr(sys, "path", ["/opt/electra/bin", *sys.path])
    own()._spawn(4, patient=True)
    assert made["command"][:4] == [sys.executable, "-P", "-m", "app"]
    assert made["command"][-1] == "--worker-patient"
    assert listener.fileno() in made["pass_fds"]
    assert made["env"][MULTIPROCESS_VARIABLE] == str(tmp_path / "metrics")
