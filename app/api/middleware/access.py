"""Who may call: API keys, then the caller's rate."""

from __future__ import annotations

from collections.abc import Callable

from starlette.types import ASGIApp, Receive, Scope, Send

from app.api.call import call_of
from app.api.keys import KeyRing, fingerprint, presented_key
from app.api.ratelimit import RateLimiter
from app.errors import RateLimited, Unauthorized


class Access:
    """Pure ASGI middleware over the paths that are not ``public`` (probes, page, reference, metrics).

    The admin ring opens every door that an API key opens.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        keys: KeyRing,
        admin: KeyRing,
        limiter: RateLimiter,
        public: Callable[[str], bool],
    ) -> None:
        self._app = app
        self._keys = keys
        self._admin = admin
        self._limiter = limiter
        self._public = public

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["method"] != "OPTIONS":
            self._check(scope)
        await self._app(scope, receive, send)

    def _check(self, scope: Scope) -> None:
        call = call_of(scope)
        if self._public(call.path):
            return
        client = scope.get("client")
        call.caller = client[0] if client else "unknown"
        if self._keys.enforced:
            presented = presented_key(scope["headers"])
            if presented is None:
                raise Unauthorized("send an API key as Authorization: Bearer <key>")
            if not (
                self._keys.accepts(presented) or (self._admin.enforced and self._admin.accepts(presented))
            ):
                raise Unauthorized("this API key is not known")
            call.caller = fingerprint(presented.decode("utf-8", "replace"))
        if self._limiter.enforced:
            wait_s = self._limiter.take(call.caller)
            if wait_s > 0:
                raise RateLimited(f"too many requests; the next may come in {wait_s:.1f} s", wait_s)
