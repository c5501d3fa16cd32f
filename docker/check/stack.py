"""What the checks do with Docker: one Compose project, asked and changed through the ordinary commands."""

from __future__ import annotations

import http.client
import json
import os
import shlex
import socket
import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

ROOT = Path(__file__).resolve().parents[2]
# The image's and the composed service's name in compose.yaml.
SERVICE = "electra"
T = TypeVar("T")


class CheckError(Exception):
    """A check saw something else than it should. The message is one line."""


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def eventually(what: str, check: Callable[[], T | None], seconds: float) -> T:
    """The first truthy answer of ``check``.

    Raises:
        CheckError: there is none in time.
    """
    deadline = time.monotonic() + seconds
    while True:
        found = check()
        if found:
            return found
        if time.monotonic() > deadline:
            raise CheckError(f"{what}: not within {seconds:g} s")
        time.sleep(0.2)


def expect(condition: object, otherwise: str) -> None:
    """Fail with ``otherwise`` unless ``condition`` holds."""
    if not condition:
        raise CheckError(otherwise)


def run(*command: str, environment: Mapping[str, str] | None = None, timeout: float = 600) -> str:
    """Standard output of a command.

    Raises:
        CheckError: it ends with another code than 0; the message has the last line that it wrote.
    """
    done = subprocess.run(
        command,
        cwd=ROOT,
        env={**os.environ, **(environment or {})},
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
    if done.returncode:
        lines = (done.stderr.strip() or done.stdout.strip()).splitlines() or ["no output"]
        raise CheckError(f"{' '.join(command[:6])} ...: {' | '.join(lines[-3:])[:600]}")
    return done.stdout


def docker(*arguments: str, timeout: float = 600) -> str:
    """Standard output of a docker command, without the line break at its end."""
    return run(os.environ["DOCKER"], *arguments, timeout=timeout).strip()


@dataclass
class Reply:
    """What an HTTP request got."""

    status: int
    body: bytes
    headers: dict[str, str]

    def json(self) -> Any:
        return json.loads(self.body)


def ask(port: int, method: str, path: str, body: object = None, timeout: float = 60) -> Reply:
    """One request to a port of this machine."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)
    try:
        content = None if body is None else json.dumps(body)
        connection.request(method, path, content, {"Content-Type": "application/json"} if content else {})
        response = connection.getresponse()
        headers = {name.lower(): value for name, value in response.getheaders()}
        return Reply(response.status, response.read(), headers)
    finally:
        connection.close()


@dataclass
class Stack:
    """The project as Compose runs it. ``settings`` are the variables that compose.yaml reads."""

    project: str
    models: Path
    scratch: Path
    settings: dict[str, str] = field(default_factory=dict)
    port: int = field(default_factory=free_port)

    def compose(self, *arguments: str, timeout: float = 900, **settings: str) -> str:
        """Run a Compose command of this project."""
        variables = {"PORT": str(self.port), "MODELS": str(self.models), **self.settings, **settings}
        command = shlex.split(os.environ["COMPOSE"])
        return run(
            *command,
            "-p",
            self.project,
            "-f",
            "compose.yaml",
            *arguments,
            environment=variables,
            timeout=timeout,
        )

    def up(self, **settings: str) -> float:
        """Start the service afresh with these settings and wait until it is healthy; returns the seconds."""
        self.compose("rm", "--stop", "--force", SERVICE)
        self.settings = settings
        began = time.monotonic()
        self.compose("up", "-d", "--no-build", SERVICE)
        self.wait_healthy()
        return time.monotonic() - began

    def down(self) -> None:
        """Remove everything of this project."""
        self.compose("--profile", "train", "--profile", "monitoring", "down", "--volumes", "--remove-orphans")

    @property
    def container(self) -> str:
        """The service's container, running or not."""
        found = docker(
            "ps", "-aq", "--filter", f"label=com.docker.compose.project={self.project}",
            "--filter", f"label=com.docker.compose.service={SERVICE}",
        ).split()  # fmt: skip
        expect(found, "the service has no container")
        return found[0]

    def inspect(self) -> Any:
        """All that the engine knows of the service's container."""
        return json.loads(docker("inspect", self.container))[0]

    def wait_healthy(self, seconds: float = 180) -> None:
        """Wait until Docker says that the service is healthy."""

        def healthy() -> bool:
            about = self.inspect()
            state = about["State"]
            if state["Status"] == "exited" or about["RestartCount"] >= 3:
                raise CheckError(f"the service exited with {state['ExitCode']}: {self.logs()[-500:]}")
            return bool(state["Status"] == "running" and state["Health"]["Status"] == "healthy")

        eventually("healthy", healthy, seconds)

    def logs(self) -> str:
        """Both outputs of the service."""
        done = subprocess.run(
            [os.environ["DOCKER"], "logs", self.container], capture_output=True, text=True, check=False
        )
        return done.stdout + done.stderr

    def ask(self, method: str, path: str, body: object = None, timeout: float = 60) -> Reply:
        """One request through the published port."""
        return ask(self.port, method, path, body, timeout)

    def served(self) -> dict[str, str]:
        """Version that is served of each model."""
        cards = self.ask("GET", "/v1/models").json()["data"]
        return {str(card["id"]): str(card["version"]) for card in cards}
