"""From bytes to a request, and from results to bytes, each once."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import numpy as np
import pytest

from app.api.route import JsonResponse, check_media_type
from app.errors import UnsupportedMediaType
from tests.service import FixedModels, started


def scope(kind: str | None) -> dict[str, Any]:
    return {"headers": [] if kind is None else [(b"content-type", kind.encode())]}


@pytest.mark.parametrize(
    "kind",
    [
        "application/json",
        "application/json;charset=utf-8",
        'APPLICATION/JSON; charset="UTF-8"',
        "application/a+json",
    ],
)
def test_json_is_taken(kind: str) -> None:
    check_media_type(scope(kind))


@pytest.mark.parametrize(
    "kind", [None, "", "text/json", "text/plain", "application/xml", "application/json; charset=gbk"]
)
def test_anything_else_is_not(kind: str | None) -> None:
    with pytest.raises(UnsupportedMediaType, match=r"application/json|utf-8"):
        check_media_type(scope(kind))


def test_numbers_that_json_lacks_become_null() -> None:
    body = JsonResponse({"a": float("nan"), "b": [float("inf")], "c": 0.5}).body
    assert json.loads(body) == {"a": None, "b": [None], "c": 0.5}


def test_arrays_must_have_become_lists() -> None:
    with pytest.raises(Exception, match="numpy"):
        JsonResponse({"a": np.zeros(2)})


def test_administration_passes_what_was_asked(models: FixedModels) -> None:
    async def scenario() -> None:
        async with started(models, admin_key="boss") as running:
            headers = {"X-API-Key": "boss"}
            base = "/v1/models/sentiment"
            for path, body in (("load", {}), ("load", {"version": "2"}), ("pin", {"version": None})):
                answer = await running.client.post(f"{base}/{path}", json=body, headers=headers)
                assert answer.status_code == 200
                assert answer.json()["refused"] == {"9": "is damaged"}
            assert (await running.client.post(f"{base}/load", headers=headers)).status_code == 200, "no body"
            assert (await running.client.post(f"{base}/pin", headers=headers)).status_code == 422

    asyncio.run(scenario())
    assert models.done == [
        ("load", "sentiment", None),
        ("load", "sentiment", "2"),
        ("pin", "sentiment", None),
        ("load", "sentiment", None),
    ]
