"""What every handler needs, made once by ``app.main`` and kept on the application."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from starlette.requests import Request

from app.api.call import Call, call_of
from app.api.keys import KeyRing
from app.api.lifecycle import Lifecycle
from app.api.models import ModelRepository
from app.bundle import Task
from app.errors import ValidationFailed
from app.settings import Settings
from app.tasks.model import ServedModel
from app.telemetry import Metrics

_SHOWN_TEXT = 200


@dataclass(frozen=True, slots=True)
class Service:
    """The parts of a running service.

    Attributes:
        settings: as checked at start.
        models: where served models come from.
        lifecycle: whether work is taken.
        metrics: None where they are switched off.
        admin: keys that may change what is served.
        version: of the software.
        threads: inference threads of this process.
    """

    settings: Settings
    models: ModelRepository
    lifecycle: Lifecycle
    metrics: Metrics | None
    admin: KeyRing
    version: str
    threads: int

    def model_for(self, call: Call, name: str | None, task: Task, *, computes: bool = True) -> ServedModel:
        """The model that answers ``call``, and the call is in. Its texts must have been admitted before.

        Args:
            call: in which the answering model is noted.
            name: as the request has it.
            task: that the model must be able to do.
            computes: whether the engine is needed, which may have no time for it.

        Raises:
            NotReady, EngineDead: the service takes no work.
            QueueFull: the engine has no time.
            ModelNotFound: no such model, or it cannot do ``task``.
        """
        self.lifecycle.check_serving()
        model = self.models.get(name, task)
        asked = (call.characters, call.items) if computes else (0, 0)
        self.models.accept(model, call.context, *asked)
        call.model, call.version, call.computes = model.name, model.version, computes
        return model

    def admit(
        self,
        call: Call,
        texts: Sequence[str] | Sequence[Sequence[int]],
        pair: Sequence[str] | None = None,
        field: str = "input",
    ) -> None:
        """Check how much is asked and note it for metrics and log. Token ids count as a character each.

        Raises:
            ValidationFailed: no texts, too many, or too many characters.
        """
        limits = self.settings
        if not texts:
            raise ValidationFailed(field, "is an empty list; send at least one text", code="empty")
        if len(texts) > limits.max_items:
            raise ValidationFailed(
                field, f"holds {len(texts)} texts; send at most {limits.max_items} at a time", code="too_many"
            )
        characters = sum(map(len, texts)) + (sum(map(len, pair)) if pair else 0)
        if characters > limits.max_characters:
            raise ValidationFailed(
                field,
                f"holds {characters} characters; send at most {limits.max_characters} at a time",
                code="too_long",
            )
        call.items, call.characters = len(texts), characters
        if limits.log_text:
            call.text = str(texts[0][:_SHOWN_TEXT])


def service_of(request: Request) -> Service:
    """The service that ``request`` came to."""
    service: Service = request.app.state.service
    return service


def current(request: Request) -> tuple[Service, Call]:
    """The service and the call of ``request``."""
    return service_of(request), call_of(request.scope)
