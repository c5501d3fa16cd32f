"""`electra-train bench`: both loops, a table, and the figures as JSON."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from training.cli import main


def test_a_dry_run_measures_both_loops(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "pretrain", "--dry-run", "--json", str(tmp_path / "f.json")]) == 0
    shown = capsys.readouterr().out
    assert "engine" in shown
    assert "reference" in shown
    assert json.loads((tmp_path / "f.json").read_text(encoding="utf-8"))
