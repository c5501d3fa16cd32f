"""How much may be asked, and of whom."""

from __future__ import annotations

from typing import Any

import pytest

from app.api.call import Call, open_call
from app.api.keys import KeyRing
from app.api.lifecycle import Lifecycle
from app.api.service import Service
from app.errors import EngineDead, NotReady, ValidationFailed
from app.settings import Settings
from tests.service import FixedModels


@pytest.fixture
def call() -> Call:
    return open_call({"type": "http", "method": "POST", "path": "/classify", "headers": []})


def service(models: FixedModels, **settings: Any) -> Service:
    return Service(Settings(**settings), models, Lifecycle(), None, KeyRing(), "0", 1)


@pytest.mark.parametrize(
    ("texts", "pair", "code"),
    [
        ([], None, "empty"),
        (["a"] * 4, None, "too_many"),
        (["a" * 11], None, "too_long"),
        (["a" * 6], ["b" * 6], "too_long"),
        ([[1] * 11], None, "too_long"),
    ],
)
def test_what_is_too_much_is_named(
    models: FixedModels, call: Call, texts: Any, pair: list[str] | None, code: str
) -> None:
    with pytest.raises(ValidationFailed) as caught:
        service(models, max_items=3, max_characters=10).admit(call, texts, pair, field="inputs")
    (problem,) = caught.value.problems
    assert (problem.field, problem.code) == ("inputs", code)


@pytest.mark.parametrize(("texts", "pair"), [(["a" * 5, "", "b" * 5], None), (["a" * 4], ["b" * 6])])
def test_the_limits_themselves_may_be_asked(
    models: FixedModels, call: Call, texts: list[str], pair: list[str] | None
) -> None:
    service(models, max_items=3, max_characters=10).admit(call, texts, pair)
    assert (call.items, call.characters) == (len(texts), 10)


def test_what_is_admitted_is_noted_without_its_text(models: FixedModels, call: Call) -> None:
    service(models).admit(call, ["好", "坏坏"], ["一"])
    assert (call.items, call.characters, call.text) == (2, 4, "")


def test_only_a_service_that_takes_work_gives_a_model(models: FixedModels, call: Call) -> None:
    made = service(models)
    with pytest.raises(NotReady):
        made.model_for(call, None, "classify")
    made.lifecycle.to_ready()
    made.lifecycle.to_draining()
    assert made.model_for(call, None, "classify").name == "sentiment", (
        "what was sent before it could be known"
    )
    assert (call.model, call.version) == ("sentiment", "1")
    made.lifecycle.to_dead("gone")
    with pytest.raises(EngineDead, match="gone"):
        made.model_for(call, None, "classify")
