"""schemathesis over the service's own OpenAPI document: no 5xx, no undocumented status or answer."""

from __future__ import annotations

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.server import Server

CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]
ADMIN = {"Authorization": "Bearer boss"}
OPERATIONS = 16


@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE])
def test_the_service_does_what_its_document_says(server: Server, mode: GenerationMode) -> None:
    schema = schemathesis.openapi.from_dict(server.get("/openapi.json").json())
    seen = 0
    for result in schema.get_all_operations():
        operation = result.ok()
        if operation.path.endswith("/unload"):
            continue  # it would leave the other tests without a model
        if mode is GenerationMode.NEGATIVE and operation.method == "get":
            continue  # nothing in it that could be wrong

        @settings(
            max_examples=15,
            database=None,
            deadline=None,
            derandomize=True,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(case=operation.as_strategy(mode))
        def probe(case: schemathesis.Case) -> None:
            response = case.call(base_url=server.url, headers=ADMIN)
            case.validate_response(response, checks=CHECKS)

        probe()
        seen += 1
    assert seen == (OPERATIONS if mode is GenerationMode.POSITIVE else 7)
    assert server.get("/readyz").status_code == 200
