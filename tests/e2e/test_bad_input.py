"""Requests that cannot be answered: each gets a problem document that says why, and the service goes on."""

from __future__ import annotations

import json
import time

import httpx
import pytest

from tests.server import Server

JSON = {"Content-Type": "application/json"}
TASKS = ["/classify", "/detect-replaced", "/summarize"]


def problem(answer: httpx.Response, status: int, error_type: str) -> dict[str, object]:
    """The problem document of ``answer``, checked for everything that all of them promise."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    document: dict[str, object] = answer.json()
    assert set(document) == {
        "type", "title", "status", "detail", "instance", "error", "error_type", "errors", "request_id",
    }  # fmt: skip
    assert document["status"] == status
    assert document["error_type"] == error_type
    assert document["request_id"] == answer.headers["x-request-id"]
    return document


@pytest.fixture(autouse=True)
def _still_well(server: Server) -> object:
    """Whatever a test sends, the next request is answered."""
    yield
    assert server.post("/classify", {"input": "好"}).status_code == 200


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b'{"input": "\xff\xfe"}', id="invalid UTF-8"),
        pytest.param(b'{"input": "\xed\xa0\x80"}', id="surrogate as bytes"),
        pytest.param(b'{"input": "\\ud800"}', id="lone surrogate"),
        pytest.param(b'{"input": "\\udc00x"}', id="lone low surrogate"),
        pytest.param(b'{"input": "\x00"}', id="raw NUL"),
        pytest.param(b"[" * 5_000, id="deep JSON without end"),
        pytest.param(b'{"input": ' + b"[" * 5_000 + b"]" * 5_000 + b"}", id="deep JSON"),
        pytest.param(b'{"input": "a"', id="half"),
        pytest.param(b" ", id="blank"),
        pytest.param(b'{"input": "a"}{"input": "b"}', id="two documents"),
        pytest.param(b'{"input": NaN2}', id="no JSON"),
    ],
)
@pytest.mark.parametrize("path", [*TASKS, "/predict"])
def test_what_is_no_json_is_400(server: Server, path: str, body: bytes) -> None:
    problem(server.post(path, content=body, headers=JSON), 400, "json")


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b'{"inputs": [' + b"[[]]," * 1_600_000 + b"[]]}", id="empty lists"),
        pytest.param(b"[" + b"[]," * 2_700_000 + b"[]]", id="no object"),
        pytest.param(b"[" * 8_000_000, id="deep"),
        pytest.param(b"{" + b'"a":1,' * 1_300_000 + b'"inputs":"a"}', id="fields"),
        pytest.param(b'{"inputs": [[' + b"1," * 4_000_000 + b"1]]}", id="token ids"),
    ],
)
@pytest.mark.parametrize("path", ["/classify", "/predict"])
def test_more_json_than_a_request_has_is_refused_before_it_is_parsed(
    server: Server, path: str, body: bytes
) -> None:
    before = server.resident_bytes()
    started = time.monotonic()
    problem(server.post(path, content=body, headers=JSON), 422, "validation")
    assert time.monotonic() - started < 3
    assert server.resident_bytes() - before < 100_000_000


@pytest.mark.parametrize("path", TASKS)
@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "input"),
        ({"input": None}, "input"),
        ({"input": 3}, "input"),
        ({"input": {"a": "b"}}, "input"),
        ({"input": []}, "input"),
        ({"input": ""}, "input"),
        ({"input": " \n\t　"}, "input"),
        ({"input": "\u200b\ufeff"}, "input"),
        ({"input": ["好", ""]}, "input.1"),
        ({"input": ["好", 3]}, "input.1"),
        ({"input": "好", "text": "坏"}, "text"),
        ({"input": "好", "modle": "x"}, "modle"),
        ({"input": "好", "model": 3}, "model"),
        ({"input": "好", "truncate": "yes"}, "truncate"),
        ({"input": ["好"] * 10_000}, "input"),
        ({"input": "好" * 1_000_000}, "input"),
        ([], "body"),
        ("好", "body"),
        (3, "body"),
    ],
)
def test_what_cannot_be_used_names_its_field(server: Server, path: str, body: object, field: str) -> None:
    content = json.dumps(body).encode()
    document = problem(server.post(path, content=content, headers=JSON), 422, "validation")
    errors = document["errors"]
    assert isinstance(errors, list)
    assert field in [error["field"] for error in errors], errors
    assert len(str(document["detail"])) < 500, "the user's text is not repeated"


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        ("/classify", {"input": "好", "top_k": 0}, "top_k"),
        ("/classify", {"input": "好", "top_k": "3"}, "top_k"),
        ("/classify", {"input": "好", "function_to_apply": "relu"}, "function_to_apply"),
        ("/classify", {"input": ["好", "坏"], "text_pair": ["好"]}, "text_pair"),
        ("/classify", {"input": [1, 2, -1]}, "input"),
        ("/classify", {"input": [1, 2, 10**9]}, "input"),
        ("/classify", {"input": [[2, 3], []]}, "input.1"),
        ("/classify", {"input": [[1] * 65]}, "input"),
        ("/classify", {"input": "好", "truncate_prompt_tokens": 2}, "truncate_prompt_tokens"),
        ("/classify", {"input": 10**400}, "input"),
        ("/detect-replaced", {"input": "好", "threshold": 2}, "threshold"),
        ("/detect-replaced", {"input": "好", "threshold": "lenient"}, "threshold"),
        ("/detect-replaced", {"input": "好", "suggestions": 11}, "suggestions"),
        ("/detect-replaced", {"input": "好", "granularity": "line"}, "granularity"),
        ("/detect-replaced", {"input": "好", "ignore": ["names"]}, "ignore.0"),
        ("/detect-replaced", {"input": "好", "protected": [{"start": 0, "end": 9}]}, "protected.0"),
        ("/summarize", {"input": "好", "ratio": 0}, "ratio"),
        ("/summarize", {"input": "好", "num_sentences": 0}, "num_sentences"),
        ("/summarize", {"input": "好", "num_sentences": 10**310}, "num_sentences"),
        ("/summarize", {"input": "好", "max_chars": 10**310}, "max_chars"),
        ("/summarize", {"input": "好", "ratio": 0.5, "num_sentences": 1}, "ratio"),
        ("/summarize", {"input": "好", "method": "gpt"}, "method"),
        ("/summarize", {"input": "好", "method": "scorer"}, "method"),
        ("/summarize", {"input": "好", "truncate": True}, "truncate"),
        ("/predict", {"inputs": ["a", "b", "c"]}, "inputs"),
        ("/predict", {"inputs": [["a"], ["a", "b"]]}, "inputs"),
        ("/predict", {"inputs": []}, "inputs"),
        ("/predict", {"input": "a"}, "inputs"),
        (
            "/predict",
            {"inputs": ["a", "b"], "truncate": True, "truncation_direction": "Left"},
            "truncation_direction",
        ),
    ],
)
def test_options_out_of_range_name_their_field(server: Server, path: str, body: object, field: str) -> None:
    document = problem(server.post(path, body), 422, "validation")
    fields = [error["field"] for error in document["errors"]]  # type: ignore[attr-defined]
    assert any(name == field or name.startswith(field + ".") for name in fields), fields


def test_nul_typed_as_an_escape_is_text_like_any_other(server: Server) -> None:
    text = "好\x00坏"
    (item,) = server.post("/detect-replaced", {"input": text}).json()["data"]
    assert all(text[token["start"] : token["end"]] == token["word"] for token in item["tokens"])
    problem(server.post("/classify", {"input": "\x00"}), 422, "validation")


def test_a_thousand_items_and_one_character_are_fine(server: Server) -> None:
    answer = server.post("/classify", {"input": ["好"] * 1024})
    assert answer.status_code == 200
    assert len(answer.json()["data"]) == 1024
    assert server.post("/summarize", {"input": "好"}).json()["data"][0]["summary_text"] == "好"


def test_a_long_text_is_read_in_windows_or_cut_on_request(server: Server) -> None:
    text = "今天天气很好。" * 3000
    read = server.post("/classify", {"input": text}).json()["data"][0]
    assert read["windows"] > 100
    assert read["truncated"] is False
    cut = server.post("/classify", {"input": text, "truncate": True})
    assert cut.json()["data"][0]["windows"] == 1
    assert cut.json()["data"][0]["truncated"] is True
    assert cut.json()["usage"]["prompt_tokens"] == 64
    few = server.post(
        "/classify", {"input": "好坏" * 40, "truncate_prompt_tokens": 5, "truncation_side": "left"}
    )
    assert few.json()["usage"]["prompt_tokens"] == 5
    assert few.json()["data"][0]["truncated"] is True


@pytest.mark.parametrize(
    "headers",
    [
        {"Content-Type": "text/plain"},
        {"Content-Type": "application/x-www-form-urlencoded"},
        {"Content-Type": "application/json; charset=gbk"},
        {},
    ],
)
def test_other_media_types_are_415(server: Server, headers: dict[str, str]) -> None:
    document = problem(server.post("/classify", content=b'{"input":"a"}', headers=headers), 415, "media_type")
    assert "json" in str(document["detail"]).lower()


@pytest.mark.parametrize(
    "kind", ["application/json; charset=UTF-8", "application/vnd.x+json", "Application/JSON"]
)
def test_json_under_its_other_names_is_taken(server: Server, kind: str) -> None:
    answer = server.post("/classify", content='{"input":"好"}'.encode(), headers={"Content-Type": kind})
    assert answer.status_code == 200


def test_unknown_paths_methods_and_models(server: Server) -> None:
    problem(server.get("/nowhere"), 404, "not_found")
    problem(server.post("/nowhere", {"input": "好"}), 404, "not_found")
    problem(server.get("/js/../../../etc/passwd"), 404, "not_found")
    problem(server.get("/css/%2e%2e/%2e%2e/settings.py"), 404, "not_found")
    wrong = server.get("/classify")
    problem(wrong, 405, "method")
    assert wrong.headers["allow"] == "POST"
    problem(server.post("/v1/models", {}), 405, "method")
    for model in ("nobody", "sentiment@9", "encoder", "../../etc", "x" * 10_000):
        problem(server.post("/classify", {"input": "好", "model": model}), 404, "model_not_found")
    assert server.post("/classify", {"input": "好", "model": "sentiment@1"}).status_code == 200
    problem(server.get("/v1/models/nobody"), 404, "model_not_found")


@pytest.mark.parametrize("timeout", ["soon", "-1", "0", "nan", "inf"])
def test_a_deadline_is_a_positive_number(server: Server, timeout: str) -> None:
    answer = server.post("/classify", {"input": "好"}, headers={"X-Request-Timeout": timeout})
    problem(answer, 422, "validation")


def test_a_deadline_that_cannot_be_kept_is_504(server: Server) -> None:
    answer = server.post(
        "/summarize", {"input": "今天天气很好。" * 20_000}, headers={"X-Request-Timeout": "0.05"}
    )
    problem(answer, 504, "deadline")


def test_administration_needs_its_key(server: Server) -> None:
    assert problem(server.post("/v1/models/topic/pin", {"version": "1"}), 401, "unauthorized")
    assert (
        server.post("/v1/models/topic/pin", {"version": "1"}).headers["www-authenticate"].startswith("Bearer")
    )
    wrong = {"Authorization": "Bearer nobody"}
    problem(server.post("/v1/models/topic/pin", {"version": "1"}, headers=wrong), 403, "forbidden")
    right = {"Authorization": "Bearer boss"}
    problem(server.post("/v1/models/topic/pin", {"version": "7"}, headers=right), 404, "model_not_found")
    problem(server.post("/v1/models/topic/pin", {"version": "../1"}, headers=right), 422, "validation")
    pinned = server.post("/v1/models/topic/pin", {"version": "1"}, headers={"X-API-Key": "boss"})
    assert pinned.json()["pinned"] == "1"
    assert server.post("/v1/models/topic/pin", {"version": None}, headers=right).json()["pinned"] is None
