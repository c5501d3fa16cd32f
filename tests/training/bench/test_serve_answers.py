"""A wrong answer is seen, whatever its form."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.training.bench.serve_samples import sample
from training.bench.serve.answers import Reference, check
from training.bench.serve.subjects import our_service

SURE = Reference({"a": 0.9, "b": 0.1})
CLOSE = Reference({"a": 0.5005, "b": 0.4995})


@pytest.mark.parametrize(
    ("reference", "answer", "right"),
    [
        (SURE, ("a", 0.9), True),
        (SURE, ("a", 0.9005), True),
        (SURE, ("a", 0.91), False),
        (SURE, ("b", 0.1), False),
        (SURE, ("c", 0.9), False),
        (CLOSE, ("b", 0.4995), True),
    ],
)
def test_label_and_score_must_agree(reference: Reference, answer: tuple[str, float], right: bool) -> None:
    assert reference.agrees(answer, 1e-3) is right


def body(*answers: tuple[str, float]) -> bytes:
    return json.dumps({"data": [{"label": label, "score": score} for label, score in answers]}).encode()


@pytest.mark.parametrize(
    ("got", "complaint"),
    [
        (sample(0, 1, body=body(("a", 0.9), ("b", 0.1))), "where the backend alone says"),
        (sample(0, 1, body=body(("a", 0.9))), "1 answers to 2 texts"),
        (sample(0, 1, body=b"{}"), "cannot be read"),
        (sample(0, 1, status=500, body=b"oh"), "status 500"),
    ],
)
def test_every_kind_of_mistake_is_named(got: object, complaint: str, tmp_path: Path) -> None:
    subject = our_service(tmp_path, name="us", precision="fp32")
    right = sample(0, 1, body=body(("a", 0.9), ("a", 0.9)))
    verdict = check([right, got], [[SURE, SURE]], subject)  # type: ignore[list-item]
    assert (verdict.checked, verdict.wrong) == (2, 1)
    assert complaint in verdict.example
