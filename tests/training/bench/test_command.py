"""`electra-train bench`: both loops, a table, and the figures as JSON."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from training.cli import main


def test_a_dry_run_measures_both_loops(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "pretrain", "--dry-run", "--json", str(tmp_path / "f.json")]) == 0
    shown = capsys.readouterr().out
    assert "engine" in shown
    assert "reference" in shown
    assert json.loads((tmp_path / "f.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize(("given", "missing"), [("shards", "tokenizer"), ("tokenizer", "shards")])
def test_shards_and_tokenizer_belong_together(
    capsys: pytest.CaptureFixture[str], given: str, missing: str
) -> None:
    assert main(["bench", "pretrain", f"--{given}", "x"]) == 2
    assert f"--{given}: needs --{missing}" in capsys.readouterr().err


@pytest.mark.timeout(300)
def test_under_torchrun_the_first_process_speaks_for_all(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "--standalone"]
    command += ["-m", "training.cli", "bench", "pretrain", "--dry-run", "--json", str(tmp_path / "f.json")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("engine on 2 process(es) of 1 thread(s)") == 1
    figures = json.loads((tmp_path / "f.json").read_text(encoding="utf-8"))
    assert figures["processes"] == 2
    assert min(figures["tokens_per_second"].values()) > 0
