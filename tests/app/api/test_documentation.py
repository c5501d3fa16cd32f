"""docs/api.md names every field of every request and answer."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import BaseModel

from app.api.errors import STATUS, Problem
from app.api.routes.info import Info
from app.api.schemas.classify import Classification, ClassifyRequest
from app.api.schemas.detect_replaced import Detection, DetectRequest, ReplacedSpan, ReplacedToken, Suggestion
from app.api.schemas.models import ModelCard, ModelList, RefusedVersion
from app.api.schemas.predict import PredictRequest
from app.api.schemas.summarize import SummarizeRequest, Summary, SummarySentence
from app.api.schemas.tokenize import TokenizeRequest, TokenizeResponse

DOCUMENT = (Path(__file__).resolve().parents[3] / "docs" / "api.md").read_text(encoding="utf-8")


def section(title: str) -> str:
    """The text under a heading, up to the next of its level."""
    assert f"## {title}\n" in DOCUMENT, title
    return DOCUMENT.split(f"## {title}\n")[1].split("\n## ")[0]


@pytest.mark.parametrize(
    ("title", "schemas"),
    [
        ("POST /classify", [ClassifyRequest, Classification]),
        ("POST /detect-replaced", [DetectRequest, Detection, ReplacedToken, ReplacedSpan, Suggestion]),
        ("POST /summarize", [SummarizeRequest, Summary, SummarySentence]),
        ("POST /predict", [PredictRequest]),
        ("POST /tokenize", [TokenizeRequest, TokenizeResponse]),
        ("GET /v1/models", [ModelCard, ModelList, RefusedVersion]),
        ("GET /info", [Info]),
    ],
)
def test_every_field_is_documented(title: str, schemas: list[type[BaseModel]]) -> None:
    text = section(title) + section("Conventions")
    for schema in schemas:
        for field in schema.model_fields:
            assert f"`{field}`" in text, f"{schema.__name__}.{field}"


def test_every_status_and_every_kind_of_error_is_documented() -> None:
    text = section("Conventions")
    for kind, status in STATUS.items():
        line = next((line for line in text.splitlines() if line.startswith(f"| {status} |")), "")
        assert f"`{kind.error_type}`" in line, kind
    for field in Problem.model_fields:
        assert f'"{field}"' in text, field
