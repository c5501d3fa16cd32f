"""Several worker processes on one port: started together, replaced when they die, stopped together."""

from __future__ import annotations

import logging
import os
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from app.api.listener import turn_newcomers_away
from app.settings import Settings
from app.shared import MULTIPROCESS_VARIABLE, free_bytes, shared_directory

_log = logging.getLogger("electra")

EXIT_STARTUP = 1
_FATAL_AT_START = (1, 2)
_TICK_S = 0.1
_AHEAD_S = 0.2
"""So long before the workers leave the port newcomers are turned away."""
_STEADY_S = 10.0
_LONGEST_PAUSE_S = 30.0
_MOST_DOUBLINGS = 5
"""After so many the pause is the longest; a power of the number of failures would outgrow all numbers."""


@dataclass(slots=True)
class _Worker:
    index: int
    process: subprocess.Popen[bytes]
    since: float
    failures: int = 0
    due: float = 0.0
    first: bool = True
    patient: bool = False


class Supervisor:
    """Owns the workers' processes.

    A worker that dies is started again, with a growing pause while it keeps dying. When one of the first
    cannot even start, none could; when a later one cannot and no other is left, nobody serves: then all are
    stopped and its exit code is ours.
    """

    def __init__(
        self, settings: Settings, listener: socket.socket, arguments: list[str], shared: Path
    ) -> None:
        self._settings = settings
        self._listener = listener
        self._arguments = arguments
        self._shared = shared
        self._read_end, self._write_end = os.pipe()
        self._stopping = False
        self._workers: list[_Worker] = []
        # As we do, they take modules from the current folder only where we were started as `python -m app`.
        self._isolated = [] if sys.path[:1] in ([""], [_current_folder()]) else ["-P"]

    def run(self) -> int:
        """Serve until a signal; 0 when every worker then ended well."""
        for number in stop_signals():
            signal.signal(number, self._on_signal)
        self._workers = [
            _Worker(index, self._spawn(index, patient=False), time.monotonic())
            for index in range(self._settings.workers)
        ]
        while not self._stopping:
            for worker in self._workers:
                code = self._look_after(worker)
                if code is not None:
                    self._stop()
                    return code
            time.sleep(_TICK_S)
        return self._stop()

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        if self._stopping:
            for worker in self._workers:
                worker.process.kill()
        self._stopping = True

    def _spawn(self, index: int, *, patient: bool) -> subprocess.Popen[bytes]:
        self._shared.mkdir(mode=0o700, exist_ok=True)  # somebody may have cleaned up
        (self._shared / "metrics").mkdir(exist_ok=True)
        command = [sys.executable, *self._isolated, "-m", "app", *self._arguments]
        command += ["--worker-socket", str(self._listener.fileno()), "--worker-pipe", str(self._read_end)]
        command += ["--worker-index", str(index), "--worker-shared", str(self._shared)]
        command += ["--worker-patient"] if patient else []
        return subprocess.Popen(
            command,
            pass_fds=(self._listener.fileno(), self._read_end),
            env={**os.environ, MULTIPROCESS_VARIABLE: str(self._shared / "metrics")},
            # The terminal's Ctrl-C is for us; we pass it on once.
            start_new_session=True,
        )

    def _look_after(self, worker: _Worker) -> int | None:
        """Replace a worker that has died; returns an exit code when there is no point in it."""
        now = time.monotonic()
        if worker.due:
            return self._start_again(worker, now) if now >= worker.due else None
        code = worker.process.poll()
        if code is None:
            if now - worker.since > _STEADY_S:
                worker.failures = 0
            return None
        self._forget_metrics(worker.process.pid)
        if code in _FATAL_AT_START and (worker.first or not self._others_run(worker)):
            return code
        self._pause(worker, now, f"ended with code {code}{self._cause_of(code)}")
        return None

    def _cause_of(self, code: int) -> str:
        if code != -signal.SIGBUS:
            return ""
        place = self._shared.parent
        return f" (SIGBUS: is {place} full? It has {free_bytes(place) >> 10} KiB free)"

    def _start_again(self, worker: _Worker, now: float) -> int | None:
        try:
            # Beside others that serve it takes no connection before it can answer.
            worker.patient = self._others_serve(worker, now)
            worker.process = self._spawn(worker.index, patient=worker.patient)
        except OSError as error:
            # The system has no memory or process to give just now: no reason to stop those that serve.
            self._pause(worker, now, f"could not be started ({error})")
            return None if self._others_run(worker) else EXIT_STARTUP
        worker.since, worker.due, worker.first = now, 0.0, False
        return None

    def _pause(self, worker: _Worker, now: float, what: str) -> None:
        pause = min(2.0 ** min(worker.failures, _MOST_DOUBLINGS) - 1, _LONGEST_PAUSE_S)
        worker.failures += 1
        worker.due = now + pause
        _log.error("worker %d %s; starting it again in %.0f s", worker.index, what, pause)

    def _others_run(self, worker: _Worker) -> bool:
        return any(other.process.poll() is None for other in self._workers if other is not worker)

    def _others_serve(self, worker: _Worker, now: float) -> bool:
        """Whether somebody takes connections: not one that itself waits until it can serve."""
        return any(
            other.process.poll() is None and not (other.patient and now - other.since < _STEADY_S)
            for other in self._workers
            if other is not worker
        )

    def _forget_metrics(self, pid: int) -> None:
        for file in (self._shared / "metrics").glob(f"gauge_live*_{pid}.db"):
            file.unlink(missing_ok=True)

    def _stop(self) -> int:
        self._stopping = True
        settings = self._settings
        leave = time.monotonic() + settings.drain_delay_s - _AHEAD_S
        if settings.drain_delay_s <= _AHEAD_S:
            turn_newcomers_away(self._listener)
        # One that died before, and waits for its turn, was told of then.
        asked = [worker for worker in self._workers if worker.process.poll() is None]
        for worker in asked:
            worker.process.send_signal(signal.SIGTERM)
        while time.monotonic() < leave and any(worker.process.poll() is None for worker in asked):
            time.sleep(_TICK_S)
        turn_newcomers_away(self._listener)
        # Ours would keep the port open after the last worker's is closed, and let clients knock in vain.
        self._listener.close()
        deadline = time.monotonic() + settings.drain_delay_s + settings.shutdown_timeout_s + 5.0
        for worker in asked:
            try:
                worker.process.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                worker.process.kill()
                worker.process.wait()
        # One that was still starting ends by the signal itself.
        well = (0, -signal.SIGTERM)
        return 0 if all(worker.process.returncode in well for worker in asked) else EXIT_STARTUP


def _current_folder() -> str:
    try:
        return os.getcwd()
    except OSError:  # deleted since
        return ""


def stop_signals() -> list[signal.Signals]:
    """The signals that stop the service in order: a closed terminal (SIGHUP) too, unless ``nohup`` has it
    ignored.
    """
    hangup = [signal.SIGHUP] if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN else []
    return [signal.SIGTERM, signal.SIGINT, *hangup]


def supervise(settings: Settings, listener: socket.socket, arguments: list[str]) -> int:
    """Run ``settings.workers`` workers on ``listener``; ``arguments`` are the command line's.

    Returns:
        The exit code of the whole.

    Raises:
        NoRoomError: there is no directory that workers can share.
    """
    with shared_directory() as shared:
        return Supervisor(settings, listener, arguments, shared).run()
