"""The route class of all JSON endpoints: bytes to a checked request once, bytes of the answer once."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, TypeVar, get_type_hints

from fastapi.routing import APIRoute
from pydantic import BaseModel, ValidationError
from pydantic_core import to_json
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Scope

from app.api.body_structure import check_structure
from app.api.call import call_of, header
from app.api.errors import from_validation
from app.api.service import service_of
from app.errors import UnsupportedMediaType

T = TypeVar("T", bound=BaseModel)


class JsonRoute(APIRoute):
    """A FastAPI route whose endpoint takes ``body`` and ``request`` and answers with a ``Response``.

    FastAPI would parse the body to Python objects, check them, and check and serialise the answer once more.
    Here pydantic reads the bytes directly and the endpoint returns bytes; the declared types still make the
    OpenAPI document.
    """

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        endpoint = self.endpoint
        schema: type[BaseModel] | None = get_type_hints(endpoint).get("body")

        async def handle(request: Request) -> Response:
            arguments: dict[str, Any] = dict(request.path_params)
            if schema is not None:
                arguments["body"] = read_body(schema, request)
            response: Response = await endpoint(request=request, **arguments)
            return response

        return handle


def read_body(schema: type[T], request: Request) -> T:
    """The call's body as ``schema``; no body at all is read as an empty object.

    Raises:
        UnsupportedMediaType: the body is not declared as JSON.
        ValidationFailed: it holds more than any request can.
        BadJson, RequestInvalid: it is not JSON, or does not fit.
    """
    body = call_of(request.scope).body
    if body:
        check_media_type(request.scope)
        limits = service_of(request).settings
        check_structure(body, max_items=limits.max_items, max_characters=limits.max_characters)
    try:
        return schema.model_validate_json(body or b"{}")
    except ValidationError as error:
        raise from_validation(error) from None


def check_media_type(scope: Scope) -> None:
    """Let JSON in UTF-8 pass.

    Raises:
        UnsupportedMediaType: anything else, and a body without a content type.
    """
    given = (header(scope, b"content-type") or b"").decode("latin-1").lower()
    if given == "application/json":
        return
    kind, _, parameters = given.partition(";")
    kind = kind.strip()
    if kind != "application/json" and not (kind.startswith("application/") and kind.endswith("+json")):
        shown = kind or "none"
        raise UnsupportedMediaType(f"content type is {shown}; send JSON with Content-Type: application/json")
    for parameter in parameters.split(";"):
        name, _, value = parameter.partition("=")
        if name.strip() == "charset" and value.strip().strip('"') not in ("utf-8", "utf8"):
            raise UnsupportedMediaType("the charset of JSON is utf-8; send it so")


class JsonResponse(Response):
    """JSON bytes, written once."""

    media_type = "application/json"

    def __init__(self, content: object, status_code: int = 200, *, exclude: Any = None) -> None:
        super().__init__(
            to_json(content, exclude=exclude, inf_nan_mode="null", by_alias=True), status_code=status_code
        )
