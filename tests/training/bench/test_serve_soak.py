"""The soak sees what must not be, and the service stands a short one."""

from __future__ import annotations

import random
from collections import Counter
from pathlib import Path

import pytest

from tests.toy import toy_bundle
from training.bench.serve.load import BROKEN
from training.bench.serve.soak import (
    SHORT_DEADLINE,
    Endpoint,
    Soak,
    bad_request,
    endpoints_of,
    good_request,
    main,
)
from training.errors import UserError


def calm() -> Soak:
    return Soak({"good /classify": Counter({200: 9, 429: 1}), "bad: empty": Counter({400: 5})}, [100.0] * 50)


def test_all_is_well() -> None:
    state = calm()
    state.note(SHORT_DEADLINE, 504)
    state.note("rude: hang-up", BROKEN)
    state.note("bad: too many items", BROKEN)
    assert state.problems() == []


@pytest.mark.parametrize(
    ("kind", "status", "problem"),
    [
        ("bad: empty", 500, "1 times status 500 to bad: empty"),
        ("good /classify", 503, "1 times status 503 to good /classify"),
        ("good /classify", 504, "1 times status 504 to good /classify"),
        ("good /classify", BROKEN, "1 times no answer to good /classify"),
        ("good /classify", 422, "1 times status 422 to good /classify"),
    ],
)
def test_what_must_not_be_is_named(kind: str, status: int, problem: str) -> None:
    state = calm()
    state.note(kind, status)
    assert state.problems() == [problem]


def test_growth_counts_after_the_ramp() -> None:
    state = calm()
    state.memory = [50.0] * 10 + [100.0] * 40
    assert state.growth == 0.0
    state.memory = [100.0 + tick / 2 for tick in range(50)]
    assert state.growth > 0.05
    assert "resident memory grew by" in state.problems()[0]


def test_a_dead_service_is_named() -> None:
    state = calm()
    state.alive = False
    assert state.problems() == ["the service ended"]


def test_every_endpoint_of_every_bundle_is_used(tmp_path: Path) -> None:
    toy_bundle(tmp_path, "encoder")
    toy_bundle(tmp_path, "topic", task="classify")
    found = endpoints_of(tmp_path)
    assert found == [
        Endpoint("/detect-replaced", "encoder"),
        Endpoint("/summarize", "encoder"),
        Endpoint("/classify", "topic"),
    ]
    chance = random.Random(0)
    kinds = {good_request(found, chance)[0] for _ in range(100)}
    assert kinds == {"good /detect-replaced", "good /summarize", "good /classify"}
    assert len({bad_request(found, chance)[0] for _ in range(500)}) == 14


def test_a_folder_without_bundles_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="holds no bundle"):
        endpoints_of(tmp_path)


def test_the_service_stands_good_and_bad_traffic(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A few seconds prove little of memory, so only answers count here."""
    toy_bundle(tmp_path / "models", "encoder")
    toy_bundle(tmp_path / "models", "topic", task="classify")
    code = main(
        ["--seconds", "4", "--clients", "4", "--models", str(tmp_path / "models"), "--work", str(tmp_path)]
    )
    said = capsys.readouterr().out
    assert code == 0 or "resident memory grew by" in said.splitlines()[-1]
    for wrong in ("times status", "times no answer", "ended", "no longer ready"):
        assert wrong not in said
    assert "good /summarize" in said
