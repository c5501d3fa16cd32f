"""A stage is run again when its inputs changed or its output is gone, and only then."""

import hashlib
import os
from pathlib import Path

import pytest

from training.pretrain.config import PhaseConfig
from training.run.stages import StageLog, digest_of


@pytest.fixture
def runs() -> list[str]:
    return []


def test_unchanged_stages_are_skipped(tmp_path: Path, runs: list[str]) -> None:
    log = StageLog(tmp_path / "stages", report=lambda _: None)
    output = tmp_path / "out"

    def work() -> dict[str, int]:
        runs.append("work")
        output.touch()
        return {"answer": len(runs)}

    assert log.run("a", ["x"], [output], work) == {"answer": 1}
    assert log.run("a", ["x"], [output], work) == {"answer": 1}
    assert log.run("a", ["y"], [output], work) == {"answer": 2}
    output.unlink()
    assert log.run("a", ["y"], [output], work) == {"answer": 3}
    (tmp_path / "stages" / "a.json").write_text("{", encoding="utf-8")
    assert log.run("a", ["y"], [output], work) == {"answer": 4}


def test_a_stage_that_is_done_again_says_why(tmp_path: Path) -> None:
    said: list[str] = []
    log = StageLog(tmp_path, report=said.append)
    for inputs in ("x", "y"):
        log.run("a", inputs, [], lambda: 1)
    assert said[0] == "== a"
    assert said[2].startswith("== a: its inputs changed since 20")


def test_a_failed_stage_is_not_remembered(tmp_path: Path) -> None:
    log = StageLog(tmp_path, report=lambda _: None)
    with pytest.raises(ZeroDivisionError):
        log.run("a", 1, [], lambda: 1 // 0)
    assert not list(tmp_path.iterdir())


def test_a_mark_tells_one_doing_from_another(tmp_path: Path) -> None:
    log = StageLog(tmp_path, report=lambda _: None)
    assert log.mark("a") is None
    log.run("a", "x", [], lambda: 1)
    first = log.mark("a")
    log.run("a", "x", [], lambda: 1)
    assert log.mark("a") == first is not None
    (tmp_path / "a.json").unlink()
    log.run("a", "x", [], lambda: 1)
    assert log.mark("a") not in (first, None)


def test_digests_see_values() -> None:
    assert digest_of(PhaseConfig(steps=1)) != digest_of(PhaseConfig(steps=2))
    assert digest_of({"b": 1, "a": 2}) == digest_of({"a": 2, "b": 1})


def test_files_are_known_by_content(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = StageLog(tmp_path / "stages")
    file = tmp_path / "data" / "a.txt"
    file.parent.mkdir()
    file.write_text("one", encoding="utf-8")
    before = log.files_digest([str(file.parent)])
    assert before == [("a.txt", hashlib.sha256(b"one").hexdigest())]
    os.utime(file, (1, 1))
    assert log.files_digest([str(file.parent)]) == before, "a copy with another time is no change"
    monkeypatch.chdir(tmp_path)
    assert log.files_digest(["data/../data"]) == before, "another way to write its path is no change"
    file.write_text("two", encoding="utf-8")
    assert log.files_digest([str(file.parent)]) != before


def test_unchanged_files_are_not_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "a.txt"
    file.write_text("one", encoding="utf-8")
    before = StageLog(tmp_path / "stages").files_digest([str(file)])
    monkeypatch.setattr("training.run.stages.hashlib.file_digest", None)
    assert StageLog(tmp_path / "stages").files_digest([str(file)]) == before
