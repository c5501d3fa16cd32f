"""The one table from errors to HTTP statuses, and the RFC 9457 document in which every error is answered.

Beside the standard's members (``type, title, status, detail, instance``) a problem carries ``error`` and
``error_type`` as Text Embeddings Inference does, ``errors`` (the fields at fault) and ``request_id``.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel, Field, ValidationError
from pydantic_core import ErrorDetails, to_json
from starlette.exceptions import HTTPException

from app import errors as e

MEDIA_TYPE = "application/problem+json"
Headers = list[tuple[bytes, bytes]]
_FIELD_NAME = re.compile(r"[a-z0-9_]+")
_LONGEST_NAME = 80

STATUS: dict[type[e.ServiceError], int] = {
    e.BadJson: 400,
    e.BadRequest: 400,
    e.Unauthorized: 401,
    e.Forbidden: 403,
    e.NotFound: 404,
    e.ModelNotFound: 404,
    e.MethodNotAllowed: 405,
    e.RequestTimeout: 408,
    e.ModelRefused: 409,
    e.TooLarge: 413,
    e.UnsupportedMediaType: 415,
    e.ValidationFailed: 422,
    e.RequestInvalid: 422,
    e.BadItem: 422,
    e.QueueFull: 429,
    e.RateLimited: 429,
    e.HeadersTooLarge: 431,
    e.ServiceError: 500,
    e.EngineDead: 503,
    e.NotReady: 503,
    e.DeadlineExceeded: 504,
}


class FieldError(BaseModel):
    """One field at fault."""

    field: str = Field(description="Dotted path of the field, such as `input.3`.")
    message: str = Field(description="What is wrong with it.")
    code: str = Field(description="A word for the kind of fault that does not change.")


class Problem(BaseModel):
    """RFC 9457 problem document."""

    type: str = Field(description="Always `about:blank`: `error_type` tells kinds apart.")
    title: str = Field(description="The kind of error in words.")
    status: int = Field(description="The HTTP status once more.")
    detail: str = Field(description="What is wrong and what to do.")
    instance: str = Field(description="The path that was called.")
    error: str = Field(description="The same as `detail`, under the name that TEI clients read.")
    error_type: str = Field(description="The kind of error, for programs.")
    errors: list[FieldError] = Field(description="The fields at fault; empty when it is not about fields.")
    request_id: str = Field(description="The same as the X-Request-ID header.")


def status_of(error: e.ServiceError) -> int:
    """HTTP status of ``error``: that of the nearest class in the table."""
    return next(STATUS[kind] for kind in type(error).__mro__ if kind in STATUS)


def render(error: e.ServiceError, *, path: str, request_id: str) -> tuple[int, Headers, bytes]:
    """Status, headers and body of the answer to ``error``."""
    status = status_of(error)
    document = {
        "type": "about:blank",
        "title": error.title,
        "status": status,
        "detail": error.message,
        "instance": path,
        "error": error.message,
        "error_type": error.error_type,
        "errors": [{"field": p.field, "message": p.message, "code": p.code} for p in error.problems],
        "request_id": request_id,
    }
    body = to_json(document)
    headers: Headers = [
        (b"content-type", MEDIA_TYPE.encode()),
        (b"content-length", str(len(body)).encode()),
        (b"cache-control", b"no-store"),
    ]
    if error.retry_after_s is not None:
        # Whole seconds, rounded up: coming back a little late is better than being refused again.
        headers.append((b"retry-after", str(max(1, math.ceil(error.retry_after_s))).encode()))
    if isinstance(error, e.Unauthorized):
        headers.append((b"www-authenticate", b'Bearer realm="electra"'))
    if isinstance(error, e.MethodNotAllowed) and error.allow:
        headers.append((b"allow", error.allow.encode()))
    return status, headers, body


def from_http_exception(error: HTTPException, *, method: str, path: str) -> e.ServiceError:
    """The service's own word for what the router raised."""
    if error.status_code == 405:
        allow = (error.headers or {}).get("Allow", "")
        return e.MethodNotAllowed(
            f"{path} does not take {method}; it takes {allow or 'other methods'}", allow=allow
        )
    if error.status_code == 404:
        return e.NotFound(f"there is nothing at {path}; /docs lists what there is")
    return e.ServiceError(str(error.detail))


def from_validation(error: ValidationError) -> e.ServiceError:
    """The service's own word for a body that pydantic refused; the user's text is never repeated in it."""
    details = error.errors(include_url=False, include_input=False, include_context=True)
    first = details[0]
    if first["type"] == "json_invalid":
        reason = str((first.get("ctx") or {}).get("error", "cannot be read"))
        return e.BadJson(f"the body is not JSON in UTF-8: {reason}")
    return e.RequestInvalid(tuple(_field_problem(detail) for detail in details[:20]))


def _field_problem(detail: ErrorDetails) -> e.FieldProblem:
    code = detail["type"]
    location = detail["loc"]
    if code == "extra_forbidden":
        field = dotted([*_without_types(location[:-1]), location[-1]])
    else:
        field = dotted(_without_types(location)) or "body"
    if code == "extra_forbidden":
        return e.FieldProblem(
            field, "is not a field of this request, or repeats one under another name", code
        )
    if code == "missing":
        return e.FieldProblem(field, "is required", code)
    message = detail["msg"].removeprefix("Value error, ").removeprefix("Input ")
    return e.FieldProblem(field, message, code)


def _without_types(location: Sequence[str | int]) -> list[str | int]:
    """Drop what pydantic adds to the path inside a union, such as ``list[str]`` or a model's name."""
    return [
        part
        for part in location
        if isinstance(part, int) or (_FIELD_NAME.fullmatch(part) and part not in ("str", "int", "float"))
    ]


def dotted(location: Sequence[Any]) -> str:
    """``("input", 3)`` as ``input.3``; a name that somebody made up is shown as far as a name goes."""
    return ".".join(str(part)[:_LONGEST_NAME] for part in location)
