"""`electra-train tokenizer` from a folder of text to tokenizer.json."""

from __future__ import annotations

from pathlib import Path

import pytest

from training.cli import main
from training.tokenizer import load_tokenizer


def test_a_folder_becomes_a_tokenizer(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "text").mkdir()
    lines = [f"今天天气很好，我们去公园吧。The cat sat on mat number {number}.\n\n" for number in range(200)]
    (tmp_path / "text" / "a.txt").write_text("".join(lines), encoding="utf-8")
    target = tmp_path / "tokenizer"
    given = ["--source", str(tmp_path / "text"), "--vocab-size", "8192", "--output", str(target)]
    assert main(["tokenizer", *given]) == 0
    assert load_tokenizer(target).encode("公园", add_special_tokens=False).tokens == ["公", "园"]
    assert "entries" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("given", "cure"), [([], "--output is missing"), (["--output", "x"], "--source or --config")]
)
def test_what_is_missing_is_named(given: list[str], cure: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["tokenizer", *given]) == 2
    assert cure in capsys.readouterr().err


def test_a_dry_run_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["tokenizer", "--dry-run"]) == 0
    assert "dry run" in capsys.readouterr().out
    assert not list(tmp_path.iterdir())
