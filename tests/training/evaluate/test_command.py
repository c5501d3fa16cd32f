"""``electra-train evaluate`` as a user calls it."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest

from training.errors import UserError
from training.evaluate import command


def run(*words: str) -> int:
    parser = argparse.ArgumentParser()
    command.configure(parser)
    return command.execute(parser.parse_args(words))


def test_the_headline_is_printed(
    toys: Path, errors: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text("evaluate: {latency_texts: 3, resamplings: 100}\n")
    words = [str(toys / "encoder" / "1"), "--errors", str(errors), "--config", str(recipe), "--threads", "1"]
    assert run(*words, "--output", str(tmp_path / "out"), "--no-progress") == 0
    assert "errors: F1 0.571" in capsys.readouterr().out
    assert (tmp_path / "out" / "report.md").is_file()


def test_mistakes() -> None:
    with pytest.raises(UserError, match="BUNDLE is missing"):
        run()
    with pytest.raises(UserError, match="nowhere: does not exist; check the path"):
        run("nowhere", "--test", "x.tsv")


def test_a_dry_run_keeps_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run("--dry-run", "--no-progress") == 0
    assert "every step worked" in capsys.readouterr().out
    assert not list(tmp_path.iterdir())


def test_help_has_examples(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        run("--help")
    assert "electra-train evaluate models/sentiment/5 --test" in capsys.readouterr().out
