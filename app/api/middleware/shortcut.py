"""The short way to the task endpoints: their paths are fixed, and most requests are theirs."""

from __future__ import annotations

from collections.abc import Iterable

from starlette.requests import Request
from starlette.routing import BaseRoute
from starlette.types import ASGIApp, Receive, Scope, Send

from app.api.call import call_of
from app.api.route import JsonRoute


class Shortcut:
    """Pure ASGI middleware, the innermost: hands a POST to a fixed path directly to its route's handler.

    The framework would try every route and open scopes for dependencies that our endpoints do not have, which
    takes longer than everything that we do ourselves for a short text. All other requests go its way.
    """

    def __init__(self, app: ASGIApp, *, routes: Iterable[BaseRoute]) -> None:
        self._app = app
        self._direct = {
            route.path: (route, route.get_route_handler())
            for route in routes
            if isinstance(route, JsonRoute) and route.methods == {"POST"} and not route.param_convertors
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        found = None
        if scope["type"] == "http" and scope["method"] == "POST":
            found = self._direct.get(call_of(scope).path)
        if found is None:
            await self._app(scope, receive, send)
            return
        route, handle = found
        scope["route"], scope["endpoint"], scope["path_params"] = route, route.endpoint, {}
        response = await handle(Request(scope, receive, send))
        await response(scope, receive, send)
