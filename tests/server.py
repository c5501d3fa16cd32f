"""A real server process for tests: started on a port of its own, asked over HTTP, stopped by a signal."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import httpx

from app.settings import PREFIX

ROOT = Path(__file__).resolve().parents[1]
_START_S = 60.0
T = TypeVar("T")


@dataclass
class Server:
    """A running process. ``url`` ends without a slash."""

    process: subprocess.Popen[bytes]
    directory: Path
    url: str = ""

    @property
    def output(self) -> str:
        return (self.directory / "stdout").read_text(encoding="utf-8")

    @property
    def log(self) -> str:
        return (self.directory / "stderr").read_text(encoding="utf-8")

    @property
    def port(self) -> int:
        return int(self.url.rsplit(":", 1)[1])

    def client(self, **options: object) -> httpx.Client:
        # Certificates are of no use here and take long to load.
        return httpx.Client(base_url=self.url, timeout=60.0, trust_env=False, verify=False, **options)  # type: ignore[arg-type]

    def post(self, path: str, body: object = None, **options: object) -> httpx.Response:
        if body is not None:
            options["json"] = body
        with self.client() as client:
            return client.post(path, **options)  # type: ignore[arg-type]

    def get(self, path: str, **options: object) -> httpx.Response:
        with self.client() as client:
            return client.get(path, **options)  # type: ignore[arg-type]

    def connect(self, timeout: float = 30.0) -> socket.socket:
        """A plain TCP connection, for clients that misbehave."""
        return socket.create_connection(("127.0.0.1", self.port), timeout=timeout)

    def signal(self, number: int = signal.SIGTERM) -> None:
        self.process.send_signal(number)

    def wait(self, timeout: float = 60.0) -> int:
        """Wait for the end; returns the exit code."""
        return self.process.wait(timeout)

    def resident_bytes(self) -> int:
        """Memory that the process holds now."""
        fields = Path(f"/proc/{self.process.pid}/statm").read_text(encoding="ascii").split()
        return int(fields[1]) * os.sysconf("SC_PAGE_SIZE")


def eventually(check: Callable[[], T | None], seconds: float = 10.0) -> T:
    """The first truthy answer of ``check``; fails when there is none in time."""
    deadline = time.monotonic() + seconds
    while True:
        found = check()
        if found:
            return found
        if time.monotonic() > deadline:
            raise AssertionError(f"still nothing after {seconds:g} s")
        time.sleep(0.02)


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def environment(settings: Mapping[str, object]) -> dict[str, str]:
    """This process's environment without its own ELECTRA_* variables, with ``settings`` by their names."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}
    clean |= {PREFIX + name.upper(): str(value) for name, value in settings.items()}
    clean["PYTHONPATH"] = str(ROOT)
    return clean


@contextmanager
def running(
    models_dir: Path,
    directory: Path,
    *,
    launcher: tuple[str, ...] = ("-m", "app"),
    wait: bool = True,
    **settings: object,
) -> Iterator[Server]:
    """Start the service over ``models_dir``; its output goes to ``directory``.

    Args:
        launcher: what Python runs.
        wait: until it says that it is ready.
        settings: by name, beside those that keep tests quick.
    """
    directory.mkdir(parents=True, exist_ok=True)
    chosen = {
        "models_dir": models_dir,
        "port": 0,
        "threads": 1,
        "backend": "onnxruntime",
        "batch_tokens": 512,
        "watch_interval_s": 0.2,
        **settings,
    }
    with (directory / "stdout").open("wb") as out, (directory / "stderr").open("wb") as err:
        process = subprocess.Popen(
            [sys.executable, *launcher], cwd=directory, env=environment(chosen), stdout=out, stderr=err
        )
    server = Server(process, directory)
    try:
        if wait:
            server.url = wait_until_ready(server)
        yield server
    finally:
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def wait_until_ready(server: Server) -> str:
    """The address that the server announces; fails with its log when it ends first."""
    deadline = time.monotonic() + _START_S
    while time.monotonic() < deadline:
        found = re.search(r"is at (http://\S+?)/\n", server.output)
        if found:
            return found.group(1)
        if server.process.poll() is not None:
            break
        time.sleep(0.02)
    raise AssertionError(f"the server is not ready (exit code {server.process.poll()}):\n{server.log}")


def run_to_end(
    *arguments: str, settings: Mapping[str, object], timeout: float = 60.0
) -> subprocess.CompletedProcess[str]:
    """Run the command until it ends by itself."""
    return subprocess.run(
        [sys.executable, "-m", "app", *arguments],
        cwd=ROOT,
        env=environment(settings),
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
