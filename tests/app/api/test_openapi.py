"""The OpenAPI document is whole: every endpoint, every field, every error."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from app.api.errors import STATUS
from tests.service import FixedModels, started


@pytest.fixture(scope="module")
def document(models_dir: Any) -> dict[str, Any]:
    from tests.service import fixed_models

    async def fetch() -> dict[str, Any]:
        async with started(fixed_models(models_dir)) as running:
            fetched: dict[str, Any] = (await running.client.get("/openapi.json")).json()
            return fetched

    return asyncio.run(fetch())


def operations(document: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {
        f"{method.upper()} {path}": operation
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    }


def test_every_endpoint_is_there(document: dict[str, Any]) -> None:
    assert set(operations(document)) == {
        "POST /classify",
        "POST /detect-replaced",
        "POST /summarize",
        "POST /predict",
        "POST /tokenize",
        "GET /v1/models",
        "GET /v1/models/{name}",
        "POST /v1/models/{name}/load",
        "POST /v1/models/{name}/unload",
        "POST /v1/models/{name}/pin",
        "GET /info",
        "GET /livez",
        "GET /readyz",
        "GET /health",
        "GET /v2/health/live",
        "GET /v2/health/ready",
        "GET /metrics",
    }


def test_operations_have_names_of_their_own_and_say_what_they_do(document: dict[str, Any]) -> None:
    found = operations(document)
    names = [operation["operationId"] for operation in found.values()]
    assert len(set(names)) == len(names)
    for name, operation in found.items():
        assert operation["summary"], name
        assert operation["description"], name


def test_every_request_field_is_described(document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]
    for name in ("ClassifyRequest", "DetectRequest", "SummarizeRequest", "PredictRequest", "TokenizeRequest"):
        for field, schema in schemas[name]["properties"].items():
            assert schema.get("description"), f"{name}.{field}"


def test_errors_are_problems(document: dict[str, Any]) -> None:
    known = {str(status) for status in STATUS.values()}
    for name, operation in operations(document).items():
        for status, response in operation["responses"].items():
            if status.startswith("2") or (status == "503" and operation["tags"] == ["probes"]):
                continue
            assert status in known, name
            assert response["content"] == {
                "application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}
            }, name
    assert "HTTPValidationError" not in document["components"]["schemas"]


def test_references_lead_somewhere(document: dict[str, Any]) -> None:
    def walk(node: Any) -> None:
        if isinstance(node, dict):
            reference = node.get("$ref")
            if isinstance(reference, str):
                assert reference.removeprefix("#/components/schemas/") in document["components"]["schemas"]
            for child in node.values():
                walk(child)
        elif isinstance(node, list):
            for child in node:
                walk(child)

    walk(document)


def test_reference_and_page_can_be_switched_off(models: FixedModels) -> None:
    async def scenario() -> None:
        async with started(models, docs=False, page=False, metrics=False) as running:
            for path in ("/", "/docs", "/openapi.json", "/js/api.js", "/metrics"):
                assert (await running.client.get(path)).status_code == 404, path
            assert (await running.client.post("/classify", json={"input": "好"})).status_code == 200

    asyncio.run(scenario())
