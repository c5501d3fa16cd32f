"""The command: its flags, what it says where, and what it sets before anything is loaded."""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path

import pytest

from app.__main__ import _where, main, make_parser
from app.settings import Settings


def test_each_setting_is_a_flag_with_its_default() -> None:
    text = " ".join(make_parser().format_help().split())
    for name in Settings.names():
        assert f"--{name.replace('_', '-')} VALUE" in text
    assert "[ELECTRA_ACCESS_LOG, default true]" in text
    assert "[ELECTRA_THREADS, default unset]" in text
    assert make_parser().parse_args([]).__dict__.keys() == {
        f"worker_{n}" for n in ("socket", "pipe", "index", "shared", "patient")
    }


def test_a_mistake_in_a_flag_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--port", "http"]) == 2
    assert capsys.readouterr().err.startswith("electra: ELECTRA_PORT 'http': ")


def test_a_models_directory_that_is_missing_names_its_setting(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--models-dir", str(tmp_path / "none")]) == 1
    assert "set ELECTRA_MODELS_DIR" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({}, "the page is at http://127.0.0.1:{}/"),
        ({"page": False, "root_path": "/electra"}, "the API is at http://127.0.0.1:{}/electra/"),
    ],
)
def test_where_it_is(settings: dict[str, object], text: str) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        expected = text.format(listener.getsockname()[1])
        assert _where(Settings(**settings), listener) == expected  # type: ignore[arg-type]


def test_blas_is_told_before_numpy_is_there() -> None:
    script = (
        "import os, sys; os.environ.pop('OPENBLAS_NUM_THREADS', None); import app.__main__; "
        "sys.exit('numpy' in sys.modules or os.environ['OPENBLAS_NUM_THREADS'] != '1')"
    )
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0
