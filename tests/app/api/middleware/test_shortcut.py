"""The short way and the long way give the same answers."""

from __future__ import annotations

import asyncio
import itertools
from typing import Any

import pytest
from starlette.routing import Router

from app.api.middleware.shortcut import Shortcut
from tests.service import FixedModels, started

PATHS = ["/classify", "/predict", "/tokenize", "/detect-replaced", "/summarize"]
BODIES: list[Any] = [{"input": "好"}, {"inputs": "好"}, {"prompt": "好"}, {"input": ""}, {"nonsense": 1}, []]


def test_it_changes_nothing_but_the_way(models: FixedModels, monkeypatch: pytest.MonkeyPatch) -> None:
    async def ask(**settings: Any) -> list[tuple[int, Any, str]]:
        answers = []
        async with started(models, **settings) as running:
            for path, body in itertools.product(PATHS, BODIES):
                answer = await running.client.post(path, json=body, headers={"X-Request-ID": "same"})
                content = answer.json()
                if isinstance(content, dict):
                    content.pop("created", None)
                answers.append((answer.status_code, content, answer.headers.get("x-model-version", "")))
            for path in PATHS:
                answer = await running.client.get(path, headers={"X-Request-ID": "same"})
                answers.append((answer.status_code, answer.json(), answer.headers["allow"]))
            metrics = (await running.client.get("/metrics")).text
            for path in PATHS:
                assert f'electra_requests_total{{method="POST",route="{path}"' in metrics
        return answers

    taken: list[str] = []
    through = Router.__call__

    async def watched(self: Router, scope: Any, receive: Any, send: Any) -> None:
        taken.append(scope.get("path", ""))
        await through(self, scope, receive, send)

    monkeypatch.setattr(Router, "__call__", watched)
    short = asyncio.run(ask())
    assert sorted(path for path in taken if path in PATHS) == sorted(PATHS), "the five GETs only"
    monkeypatch.setattr(Shortcut, "__init__", _nowhere)
    assert asyncio.run(ask()) == short
    assert {status for status, _, _ in short} == {200, 405, 422}


def _nowhere(self: Shortcut, app: Any, *, routes: Any) -> None:
    self._app, self._direct = app, {}


def test_under_a_prefix_it_is_found_too(models: FixedModels) -> None:
    async def scenario() -> None:
        async with started(models, root_path="/electra") as running:
            for path in ("/electra/classify", "/classify"):
                assert (await running.client.post(path, json={"input": "好"})).status_code == 200

    asyncio.run(scenario())
