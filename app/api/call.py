"""One HTTP call as the middleware, the handlers and the log see it."""

from __future__ import annotations

import random
import re
import time
from dataclasses import dataclass, field

from starlette.types import Scope

from app.scheduler.engine import RequestContext

_KEY = "electra.call"
ARRIVED = "electra.arrived"
"""Where a server that knows puts the moment, on the event loop's clock, at which it read the headers."""
_REQUEST_ID = re.compile(rb"[A-Za-z0-9._:\-]{1,128}")


class ClientGone(Exception):  # noqa: N818 - named by what happened, as in app.errors
    """The client hung up before its answer was ready; there is nobody left to tell."""


@dataclass(slots=True)
class Call:
    """What is known of a call, filled in on its way.

    Attributes:
        request_id: the client's ``X-Request-ID`` when it is a plain one, else a new one.
        path: without the prefix of a reverse proxy.
        route: the path as documented (``/v1/models/{name}``), once the router has chosen it.
        started: ``time.perf_counter()`` at arrival, in seconds.
        context: what follows the call into the scheduler.
        body: the whole body, once it has been read.
        body_bytes: how much of it has arrived.
        caller: who calls, as far as rate limits are concerned: a key's fingerprint or an address.
        status: HTTP status once the answer has started; 0 before.
        error_type: of the problem that was answered, if one was.
        model, version: what answered.
        items, tokens, characters: how much was asked.
        computes: whether a model is asked to compute.
        text: the beginning of the first input, only where the log may show it.
    """

    request_id: str
    method: str
    path: str
    context: RequestContext
    started: float = field(default_factory=time.perf_counter)
    route: str = "other"
    body: bytes = b""
    body_bytes: int = 0
    caller: str = ""
    status: int = 0
    error_type: str = ""
    model: str = ""
    version: str = ""
    items: int = 0
    tokens: int = 0
    characters: int = 0
    computes: bool = False
    text: str = ""

    @property
    def seconds(self) -> float:
        """Seconds since arrival."""
        return time.perf_counter() - self.started


def open_call(scope: Scope) -> Call:
    """Make the call of an HTTP scope and keep it there."""
    path: str = scope["path"]
    prefix: str = scope.get("root_path", "")
    if prefix and path.startswith(prefix + "/"):
        path = path[len(prefix) :]
    given = header(scope, b"x-request-id")
    request_id = given.decode() if given and _REQUEST_ID.fullmatch(given) else new_request_id()
    call = Call(request_id, scope["method"], path, RequestContext(request_id=request_id))
    scope[_KEY] = call
    return call


def new_request_id() -> str:
    """128 random bits in hexadecimal. They tell requests apart and keep no secret: no call to the system."""
    return f"{random.getrandbits(128):032x}"


def call_of(scope: Scope) -> Call:
    """The call of an HTTP scope."""
    call: Call = scope[_KEY]
    return call


def header(scope: Scope, name: bytes) -> bytes | None:
    """First value of a request header; ``name`` in lower case."""
    for key, value in scope["headers"]:
        if key == name:
            return bytes(value)
    return None
