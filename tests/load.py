"""A crowd of clients on keep-alive connections, for tests that change something under load."""

from __future__ import annotations

import http.client
import json
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from types import TracebackType


@dataclass
class Answer:
    """What one request got. ``status`` 0: nothing came back."""

    sent: object
    status: int
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    error: str = ""

    def json(self) -> dict[str, object]:
        document: dict[str, object] = json.loads(self.body)
        return document


class Crowd:
    """``clients`` threads that send what ``make`` gives them, one request after the other, until stopped.

    A request that finds its kept connection closed before a byte of it was answered is given up without an
    answer, as RFC 9112 (9.3.1) lets a server do; on a fresh connection that counts as lost. ``refused``
    counts connections that were not accepted.
    """

    def __init__(
        self, port: int, make: Callable[[int], object], *, path: str = "/classify", clients: int = 8
    ) -> None:
        self.answers: list[Answer] = []
        self.refused = 0
        self._port = port
        self._make = make
        self._path = path
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._run, args=(index,)) for index in range(clients)]

    def __enter__(self) -> Crowd:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def stop(self) -> list[Answer]:
        """Let every client finish its request; returns all answers."""
        self._stop.set()
        for thread in self._threads:
            thread.join()
        return self.answers

    def _run(self, index: int) -> None:
        connection: http.client.HTTPConnection | None = None
        number = index
        while not self._stop.is_set():
            body = self._make(number)
            number += len(self._threads)
            fresh = connection is None
            try:
                if connection is None:
                    connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=60)
                    connection.connect()
            except OSError:
                self.refused += 1
                return
            try:
                answer, keep = self._ask(connection, body)
            except (OSError, http.client.HTTPException) as error:
                connection.close()
                connection = None
                if fresh:
                    self.answers.append(Answer(body, 0, error=repr(error)))
                continue
            self.answers.append(answer)
            if not keep:
                connection.close()
                connection = None
        if connection is not None:
            connection.close()

    def _ask(self, connection: http.client.HTTPConnection, body: object) -> tuple[Answer, bool]:
        connection.request("POST", self._path, json.dumps(body), {"Content-Type": "application/json"})
        response = connection.getresponse()
        content = response.read()
        headers = {name.lower(): value for name, value in response.getheaders()}
        keep = headers.get("connection", "").lower() != "close"
        return Answer(body, response.status, content, headers), keep
