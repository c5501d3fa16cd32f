"""The error vocabulary itself: messages, fields, waiting times."""

import inspect

import app.errors as errors
from app.errors import FieldProblem, QueueFull, RequestInvalid, ServiceError, ValidationFailed


def service_errors() -> list[type[ServiceError]]:
    return [c for _, c in inspect.getmembers(errors, inspect.isclass) if issubclass(c, ServiceError)]


def test_every_class_names_its_kind() -> None:
    for kind in service_errors():
        if kind is not ServiceError:
            assert kind.error_type != "internal", kind
            assert kind.title != ServiceError.title, kind


def test_validation_names_the_field() -> None:
    error = ValidationFailed("threshold", "is not between 0 and 1")
    assert error.message == "threshold: is not between 0 and 1"
    assert error.problems == (FieldProblem("threshold", "is not between 0 and 1"),)


def test_several_fields_are_all_kept() -> None:
    problems = tuple(FieldProblem(f"input.{i}", "is empty") for i in range(5))
    error = RequestInvalid(problems)
    assert error.problems == problems
    assert "input.0" in error.message


def test_queue_full_carries_the_wait() -> None:
    assert QueueFull("full", retry_after_s=2.5).retry_after_s == 2.5
