"""Answers errors, below the layers that every answer passes: so a refusal carries what they add to it."""

from __future__ import annotations

import asyncio
import logging

from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.api.call import Call, ClientGone, call_of
from app.api.errors import render
from app.api.service import service_of
from app.errors import NotReady, ServiceError

_log = logging.getLogger("electra.access")


class Problems:
    """Pure ASGI middleware. Whatever happens inside becomes a problem document, unless the client is gone.

    It stands inside the CORS layer: a browser hands a page no answer, not even the reason of a refusal, that
    does not name the page's origin.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        call = call_of(scope)
        begun = False
        problem: ServiceError

        async def watched(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        try:
            await self._app(scope, receive, watched)
        except ClientGone:
            raise
        except asyncio.CancelledError:
            # The server cancels what is still in flight at the end of its time to stop.
            if begun or not service_of(Request(scope)).lifecycle.stopping:
                raise
            problem = NotReady("the service is stopping and could not wait for this request; send it again")
        except ServiceError as error:
            problem = error
        except Exception as error:
            _log.error("unhandled error", exc_info=error, extra={"fields": {"request_id": call.request_id}})
            problem = ServiceError(
                "something went wrong on our side; the log has the reason under this request_id"
            )
        else:
            return
        # Where half an answer is out, the server closes the connection on it.
        if not begun:
            await _answer(call, problem, send)


async def _answer(call: Call, error: ServiceError, send: Send) -> None:
    call.error_type = error.error_type
    status, headers, body = render(error, path=call.path, request_id=call.request_id)
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": b"" if call.method == "HEAD" else body})
