"""Options over the configuration file."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest

from training.errors import UserError
from training.evaluate.options import add_data_options, config_of


def parse(*words: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    add_data_options(parser)
    return parser.parse_args(words)


def test_options_win(tmp_path: Path) -> None:
    (tmp_path / "r.yaml").write_text("evaluate: {test: a.tsv, rows: 5, label_names: {x: y}}\n")
    config = config_of(parse("--config", str(tmp_path / "r.yaml"), "--rows", "7"), "evaluate")
    assert (config.test, config.rows, config.label_names) == ("a.tsv", 7, {"x": "y"})


def test_label_names() -> None:
    assert config_of(parse("--label-names", "0=bad", "1=a=b"), "x").label_names == {"0": "bad", "1": "a=b"}
    with pytest.raises(UserError, match="'0:bad' is not OLD=NEW"):
        config_of(parse("--label-names", "0:bad"), "x")
