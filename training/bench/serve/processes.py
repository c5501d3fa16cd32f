"""Server processes: started, waited for, weighed with all their children, and stopped."""

from __future__ import annotations

import http.client
import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from training.errors import UserError

START_SECONDS = 180.0
_STOP_SECONDS = 15.0
_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class ServerProcess:
    """A server that is ready. ``ready_seconds``: from its start until it said so."""

    process: subprocess.Popen[bytes]
    port: int
    ready_seconds: float
    log: Path

    def tree(self) -> list[int]:
        """The process and its descendants."""
        return descendants(self.process.pid)

    def cpu_seconds(self) -> float:
        """Processor time that the tree has used."""
        return sum(cpu_seconds(pid) for pid in self.tree())

    def resident_bytes(self) -> int:
        """Memory that the tree holds now; pages that two of them share count twice."""
        return sum(_status_bytes(pid, "VmRSS") for pid in self.tree())

    def peak_resident_bytes(self) -> int:
        """Sum of the peaks of each process of the tree."""
        return sum(_status_bytes(pid, "VmHWM") for pid in self.tree())

    def get(self, path: str, timeout: float = 10.0) -> tuple[int, bytes]:
        """Status and body of a GET."""
        return get(self.port, path, timeout)


@contextmanager
def running(
    name: str, command: Sequence[str], environment: Mapping[str, str], port: int, ready_path: str, work: Path
) -> Iterator[ServerProcess]:
    """Start ``command``, wait until ``ready_path`` answers 200, and stop it with all its children.

    Raises:
        UserError: it ended, or was not ready in time; the message shows the end of its log.
    """
    log = work / f"{name}.log"
    with log.open("wb") as stream:
        begun = time.perf_counter()
        process = subprocess.Popen(
            command, env=dict(environment), cwd=work, stdout=stream, stderr=stream, start_new_session=True
        )
    try:
        while _ready(port, ready_path) is False:
            if process.poll() is not None:
                raise UserError(f"{name}: ended with {process.returncode} at its start: {_tail(log)}")
            if time.perf_counter() - begun > START_SECONDS:
                raise UserError(f"{name}: not ready after {START_SECONDS:.0f} s: {_tail(log)}")
            time.sleep(0.01)
        yield ServerProcess(process, port, time.perf_counter() - begun, log)
    finally:
        _stop(process)


def get(port: int, path: str, timeout: float = 10.0) -> tuple[int, bytes]:
    """Status and body of a GET on this machine."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def descendants(pid: int) -> list[int]:
    """``pid`` and the processes below it, as /proc shows them now."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal() and (fields := _stat(int(entry.name))):
            children.setdefault(int(fields[1]), []).append(int(entry.name))
    found, waiting = [], [pid]
    while waiting:
        found.append(waiting.pop())
        waiting += children.get(found[-1], [])
    return found


def cpu_seconds(pid: int) -> float:
    """Processor time of one process, its ended children included; 0 when it is gone."""
    fields = _stat(pid)
    return sum(int(field) for field in fields[11:15]) / _TICKS if fields else 0.0


def _stat(pid: int) -> list[str]:
    """Fields of /proc/PID/stat after the name, the state first."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return []
    return text.rpartition(")")[2].split()


def _status_bytes(pid: int, field: str) -> int:
    with suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith(field + ":"):
                return int(line.split()[1]) * 1024
    return 0


def _ready(port: int, path: str) -> bool:
    try:
        return get(port, path, timeout=2.0)[0] == 200
    except (OSError, http.client.HTTPException):
        return False


def _tail(log: Path) -> str:
    lines = [line for line in log.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()]
    return " | ".join(lines[-3:]) or "nothing in its log"


def _stop(process: subprocess.Popen[bytes]) -> None:
    tree = descendants(process.pid)
    process.terminate()
    with suppress(subprocess.TimeoutExpired):
        process.wait(_STOP_SECONDS)
    # Some peers leave workers behind; all of them are our children's children.
    for pid in tree:
        with suppress(ProcessLookupError, PermissionError):
            if pid != process.pid and _stat(pid):
                os.kill(pid, signal.SIGKILL)
    if process.poll() is None:
        process.kill()
        process.wait()
