"""``electra-train compare`` as a user, or a script, calls it."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import pytest

from tests.toy import toy_bundle
from training.errors import UserError
from training.evaluate import compare_command


def run(*words: str) -> int:
    parser = argparse.ArgumentParser()
    compare_command.configure(parser)
    return compare_command.execute(parser.parse_args(words))


def test_the_exit_status_is_the_verdict(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = '{"text": "我喜欢吃错果。", "errors": [4]}\n' * 30
    (tmp_path / "errors.jsonl").write_text(rows, encoding="utf-8")
    blind = str(toy_bundle(tmp_path / "a", "blind", replaced=("坏",)))
    seeing = str(toy_bundle(tmp_path / "b", "seeing", replaced=("错",)))
    common = ["--errors", str(tmp_path / "errors.jsonl"), "--no-progress", "--threads", "1"]
    assert run(blind, seeing, *common) == 0
    assert "seeing/1 is better than blind/1." in capsys.readouterr().out
    assert run(seeing, blind, *common, "--json") == 1
    assert json.loads(capsys.readouterr().out)["tests"][0]["verdict"] == "worse"


def test_mistakes() -> None:
    with pytest.raises(UserError, match="two bundles are needed"):
        run("only-one")


def test_help_says_what_the_exit_status_means(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        run("--help")
    assert "Exit status: 0 when B is better" in capsys.readouterr().out
