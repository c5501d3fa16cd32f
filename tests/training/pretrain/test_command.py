"""`electra-train pretrain`: what it passes on, and what it misses."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from training.cli import main


@pytest.mark.parametrize("missing", ["shards", "tokenizer", "output"])
def test_what_is_missing_is_named(missing: str, capsys: pytest.CaptureFixture[str]) -> None:
    given = [
        part for name in ("shards", "tokenizer", "output") if name != missing for part in (f"--{name}", "x")
    ]
    assert main(["pretrain", *given]) == 2
    assert f"--{missing} is missing" in capsys.readouterr().err


def test_shards_that_are_not_there_are_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["pretrain", "--shards", "nowhere", "--tokenizer", "t", "--output", "o"]) == 2
    assert "nowhere: no such file; check the path" in capsys.readouterr().err


def test_the_pretrain_part_of_a_recipe_is_taken_and_flags_win(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken: list[Any] = []
    monkeypatch.setattr("training.pretrain.loop.pretrain", lambda *given: taken.extend(given) or given[3])
    (tmp_path / "c.yaml").write_text("pretrain:\n  seed: 7\n  warm_start: here\n", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    for name in ("s", "t"):
        (tmp_path / name).mkdir()
    given = ["--shards", "s", "--tokenizer", "t", "--output", "o", "--config", str(tmp_path / "c.yaml")]
    assert main(["pretrain", *given, "--warm-start", "there", "--quiet"]) == 0
    assert (taken[0].seed, taken[0].warm_start) == (7, "there")
    assert taken[1:] == [Path("s"), Path("t"), Path("o"), False]
