"""The verb: where things go, and that a dry run keeps nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from training.cli import main


def test_it_says_where_the_checkpoints_are(
    models: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["restore", str(models / "encoder"), "--output", str(tmp_path / "out")]) == 0
    shown = capsys.readouterr().out.split()
    assert shown == [str(tmp_path / "out" / name) for name in ("discriminator", "generator")]


def test_a_dry_run_keeps_nothing(models: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["restore", str(models / "classifier"), "--dry-run"]) == 0
    assert "classifier restored, compared with the bundle and thrown away" in capsys.readouterr().out
    assert main(["restore", str(models / "classifier")]) == 2
    assert "--output is missing" in capsys.readouterr().err
    assert main(["restore", str(tmp_path), "--output", str(tmp_path / "out")]) == 2
    assert "bundle.json: is missing" in capsys.readouterr().err
