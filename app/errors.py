# ruff: noqa: N818 - named by what happened (QueueFull), as asyncio and queue do, not by the suffix Error.
"""What can go wrong while a request is served, in words that no room needs HTTP to understand.

Every room raises subclasses of :class:`ServiceError`; ``app.api.errors`` holds the one table from these to
HTTP statuses. ``error_type`` follows the vocabulary of Text Embeddings Inference where it has a word.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True, slots=True)
class FieldProblem:
    """One complaint about one field: ``field`` is a dotted path such as ``input.3`` or ``threshold``."""

    field: str
    message: str
    code: str = "invalid"


class ServiceError(Exception):
    """A request that cannot be answered. ``message`` is one sentence: what is wrong and the cure.

    ``retry_after_s`` (seconds, or None) says when to try again; ``problems`` names the fields at fault.
    """

    error_type: ClassVar[str] = "internal"
    title: ClassVar[str] = "Internal error"

    def __init__(
        self, message: str, *, retry_after_s: float | None = None, problems: tuple[FieldProblem, ...] = ()
    ) -> None:
        super().__init__(message)
        self.message = message
        self.retry_after_s = retry_after_s
        self.problems = problems


class ValidationFailed(ServiceError):
    """The request is well-formed JSON but a field has a value that cannot be used."""

    error_type = "validation"
    title = "Request is not valid"

    def __init__(self, field: str, message: str, *, code: str = "invalid") -> None:
        super().__init__(f"{field}: {message}", problems=(FieldProblem(field, message, code),))


class RequestInvalid(ServiceError):
    """Several fields are at fault at once; ``problems`` lists them."""

    error_type = "validation"
    title = "Request is not valid"

    def __init__(self, problems: tuple[FieldProblem, ...]) -> None:
        super().__init__("; ".join(f"{p.field}: {p.message}" for p in problems[:3]), problems=problems)


class BadJson(ServiceError):
    """The body is not JSON in UTF-8, or is nested too deeply to be a request."""

    error_type = "json"
    title = "Body is not valid JSON"


class BadRequest(ServiceError):
    """What arrived is not a request that can be read at all."""

    error_type = "bad_request"
    title = "Request cannot be read"


class HeadersTooLarge(ServiceError):
    """The headers are larger than the service reads."""

    error_type = "headers_too_large"
    title = "Headers too large"


class UnsupportedMediaType(ServiceError):
    """The body's content type is not JSON."""

    error_type = "media_type"
    title = "Unsupported media type"


class Unauthorized(ServiceError):
    """No API key, or one that is not known."""

    error_type = "unauthorized"
    title = "API key required"


class Forbidden(ServiceError):
    """The key is known but may not do this, or administration is switched off."""

    error_type = "forbidden"
    title = "Not allowed"


class NotFound(ServiceError):
    """There is nothing at this path."""

    error_type = "not_found"
    title = "Not found"


class MethodNotAllowed(ServiceError):
    """The path exists and does not take this method; ``allow`` lists those it takes."""

    error_type = "method"
    title = "Method not allowed"

    def __init__(self, message: str, *, allow: str = "") -> None:
        super().__init__(message)
        self.allow = allow


class ModelNotFound(ServiceError):
    """No model of this name, or none that can do this task."""

    error_type = "model_not_found"
    title = "Model not found"


class ModelRefused(ServiceError):
    """A bundle did not pass its checks; the version that was serving still serves."""

    error_type = "model_refused"
    title = "Model refused"


class TooLarge(ServiceError):
    """The body is larger than the service reads."""

    error_type = "too_large"
    title = "Body too large"


class RateLimited(ServiceError):
    """This key has used up its requests for now."""

    error_type = "rate_limited"
    title = "Rate limit reached"

    def __init__(self, message: str, retry_after_s: float) -> None:
        super().__init__(message, retry_after_s=retry_after_s)


class QueueFull(ServiceError):
    """More tokens are waiting than the service admits; nothing of this request was started."""

    error_type = "overloaded"
    title = "Queue is full"

    def __init__(self, message: str, retry_after_s: float) -> None:
        super().__init__(message, retry_after_s=retry_after_s)


class NotReady(ServiceError):
    """The service is starting, draining, or has no model yet."""

    error_type = "unhealthy"
    title = "Not ready"

    def __init__(self, message: str, retry_after_s: float = 1.0) -> None:
        super().__init__(message, retry_after_s=retry_after_s)


class DeadlineExceeded(ServiceError):
    """The answer would come, or came, later than the request's deadline."""

    error_type = "deadline"
    title = "Deadline exceeded"


class RequestTimeout(ServiceError):
    """The client did not finish sending its request in time."""

    error_type = "request_timeout"
    title = "Request took too long to arrive"


class EngineDead(ServiceError):
    """The inference engine has stopped; this process is about to exit so that a fresh one can take over."""

    error_type = "backend"
    title = "Engine stopped"

    def __init__(self, message: str, retry_after_s: float = 5.0) -> None:
        super().__init__(message, retry_after_s=retry_after_s)


class BadItem(ServiceError):
    """The model could not compute this one input, even alone; other inputs are not affected."""

    error_type = "inference"
    title = "Input could not be computed"
