"""The service and its limits in TEI's words."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from app.api.routes.info import Info, _checksum
from tests.service import FixedModels, started


def info(models: FixedModels, **settings: Any) -> dict[str, Any]:
    async def scenario() -> dict[str, Any]:
        async with started(models, **settings) as running:
            answer: dict[str, Any] = (await running.client.get("/info")).json()
            return answer

    return asyncio.run(scenario())


def test_it_is_as_documented_and_says_the_settings(models: FixedModels) -> None:
    answer = info(models, max_items=7, request_timeout_s=3)
    Info.model_validate(answer)
    assert set(answer) == set(Info.model_fields)
    assert (answer["max_client_batch_size"], answer["request_timeout_s"]) == (7, 3)
    manifest = models.served["sentiment"].bundle.manifest
    assert answer["model_sha"] == manifest.graphs["model"].files["fp32"].sha256


def test_without_a_classifier_there_is_none_to_describe(models: FixedModels) -> None:
    answer = info(FixedModels({"encoder": models.served["encoder"]}, models.engine))
    assert (answer["model_id"], answer["model_sha"], answer["max_input_length"]) == (None, None, None)
    assert [model["id"] for model in answer["models"]] == ["encoder"]


@pytest.mark.parametrize(("running", "file"), [("int8", "int8"), ("fp32", "fp32"), ("bf16", "fp32")])
def test_the_checksum_is_of_the_file_that_runs(running: str, file: str) -> None:
    files = {name: SimpleNamespace(sha256=name) for name in ("fp32", "int8")}
    graph = SimpleNamespace(files=files, default_precision="int8")
    assert _checksum(SimpleNamespace(graphs={"model": graph}), running) == file  # type: ignore[arg-type]
