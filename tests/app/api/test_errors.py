"""The table from errors to statuses, and the document that they become."""

import inspect
import json

import pytest
from pydantic import BaseModel, ValidationError
from starlette.exceptions import HTTPException

from app import errors
from app.api.errors import STATUS, Problem, from_http_exception, from_validation, render, status_of
from app.api.schemas.classify import ClassifyRequest


def kinds() -> list[type[errors.ServiceError]]:
    return [
        kind
        for _, kind in inspect.getmembers(errors, inspect.isclass)
        if issubclass(kind, errors.ServiceError)
    ]


def test_every_error_has_a_status_of_its_own() -> None:
    assert set(kinds()) == set(STATUS)


def test_a_subclass_takes_the_nearest_status() -> None:
    class Fuller(errors.QueueFull):
        pass

    assert status_of(Fuller("x", 1.0)) == 429


def test_the_document_is_what_the_schema_promises() -> None:
    error = errors.ValidationFailed("input.3", "is empty", code="empty")
    status, headers, body = render(error, path="/classify", request_id="r1")
    problem = Problem.model_validate_json(body)
    assert status == problem.status == 422
    assert problem.error == problem.detail == "input.3: is empty"
    assert problem.errors[0].model_dump() == {"field": "input.3", "message": "is empty", "code": "empty"}
    assert set(json.loads(body)) == set(Problem.model_fields)
    assert dict(headers)[b"content-length"] == str(len(body)).encode()


@pytest.mark.parametrize(("wait", "header"), [(0.01, b"1"), (1.0, b"1"), (1.2, b"2"), (59.5, b"60")])
def test_retry_after_is_in_whole_seconds_and_never_early(wait: float, header: bytes) -> None:
    _, headers, _ = render(errors.QueueFull("full", wait), path="/", request_id="r")
    assert dict(headers)[b"retry-after"] == header


def test_what_the_router_raises_has_our_words() -> None:
    missing = from_http_exception(HTTPException(404), method="GET", path="/x")
    assert isinstance(missing, errors.NotFound)
    method = from_http_exception(
        HTTPException(405, headers={"Allow": "POST"}), method="GET", path="/classify"
    )
    assert dict(render(method, path="/", request_id="r")[1])[b"allow"] == b"POST"
    assert status_of(from_http_exception(HTTPException(418), method="GET", path="/")) == 500


def refused(schema: type[BaseModel], body: bytes) -> errors.ServiceError:
    with pytest.raises(ValidationError) as caught:
        schema.model_validate_json(body)
    return from_validation(caught.value)


def test_the_users_text_is_never_repeated() -> None:
    for body in (
        b'{"input": {"secret": "secret"}}',
        b'{"input": "a", "top_k": "secret"}',
        b'"secret',
        b'["secret"]',
    ):
        error = refused(ClassifyRequest, body)
        status, _, content = render(error, path="/classify", request_id="r")
        assert status in (400, 422)
        assert b"secret" not in content


def test_fields_inside_unions_have_plain_paths() -> None:
    error = refused(ClassifyRequest, b'{"input": ["a", 3], "text_pair": [1], "str": 1}')
    assert [problem.field for problem in error.problems] == ["input.1", "text_pair.0", "str"]
