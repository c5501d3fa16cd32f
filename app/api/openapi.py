"""The OpenAPI document: FastAPI's, with the errors that each operation can really answer with."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from app.api.errors import MEDIA_TYPE, Problem

_ERRORS = {
    400: "The body is not JSON in UTF-8.",
    401: "No API key, or an unknown one.",
    403: "Administration needs the admin key.",
    404: "No such model, version or path.",
    405: "The path does not take this method.",
    408: "The body did not arrive in time.",
    409: "The bundle was refused; what was serving still is.",
    413: "The body is too large.",
    415: "The body is not declared as JSON.",
    422: "A field cannot be used, or a limit was passed.",
    429: "The queue is full or the caller's rate is used up; Retry-After says when to come back.",
    500: "Something went wrong on our side.",
    503: "Not ready or stopping; Retry-After says when to come back.",
    504: "The deadline passed.",
}
_TASK = (400, 401, 404, 408, 413, 415, 422, 429, 500, 503, 504)
_READ = (401, 404, 429, 500, 503)
_ADMIN = (400, 401, 403, 404, 408, 409, 413, 415, 422, 429, 500, 503, 504)
_PROBE = (500, 503)

DESCRIPTION = """\
Text classification, replaced-token detection and extractive summarization with ELECTRA, for Chinese, English
and both in one sentence.

- Offsets are Unicode code points of the text as sent, half-open; `offset_unit: utf16` counts as JavaScript.
- Text longer than the model is read in overlapping windows and never silently cut.
- Every error is an RFC 9457 problem document.
- `X-Request-ID` is echoed, `Server-Timing` says where the time went, `X-Request-Timeout` (seconds) sets a
  deadline.
"""


def install_openapi(app: FastAPI, version: str, root_path: str) -> None:
    """Make ``app.openapi()`` build our document, once."""

    def build() -> dict[str, Any]:
        if app.openapi_schema is None:
            document = get_openapi(
                title="ELECTRA", version=version, description=DESCRIPTION, routes=app.routes, tags=_TAGS
            )
            _add_errors(document)
            if root_path:
                document["servers"] = [{"url": root_path}]
            document["components"]["securitySchemes"] = {
                "key": {"type": "http", "scheme": "bearer", "description": "Only where keys are configured."}
            }
            app.openapi_schema = document
        return app.openapi_schema

    app.openapi = build  # type: ignore[method-assign]


_TAGS = [
    {"name": "tasks", "description": "What the models do."},
    {"name": "models", "description": "What is served, and changing it."},
    {"name": "probes", "description": "For load balancers and orchestrators."},
    {"name": "operations", "description": "For operators."},
]


def _add_errors(document: dict[str, Any]) -> None:
    schemas = document.setdefault("components", {}).setdefault("schemas", {})
    definition = Problem.model_json_schema(ref_template="#/components/schemas/{model}")
    schemas.update(definition.pop("$defs"))
    schemas["Problem"] = definition
    for unused in ("HTTPValidationError", "ValidationError"):
        schemas.pop(unused, None)
    for path, operations in document["paths"].items():
        for operation in operations.values():
            tag = operation["tags"][0]
            if tag != "probes" and path != "/metrics":
                operation["security"] = [{}, {"key": []}]
            for status in _errors_of(tag, operation):
                operation["responses"][str(status)] = {
                    "description": _ERRORS[status],
                    "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
                }
            if tag == "probes":
                unhealthy = dict(operation["responses"]["200"], description="Not so; `reason` says why.")
                operation["responses"]["503"] = unhealthy


def _errors_of(tag: str, operation: dict[str, Any]) -> tuple[int, ...]:
    operation["responses"].pop("422", None)
    if tag == "tasks":
        return _TASK
    if tag == "models" and "admin" in operation.get("operationId", ""):
        return _ADMIN
    return _PROBE if tag == "probes" else _READ
