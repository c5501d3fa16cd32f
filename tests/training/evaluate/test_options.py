"""Options over the configuration file."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest

import training
from training.errors import UserError
from training.evaluate.options import add_data_options, config_of

BUNDLE = Path("models/sentiment/1")


def parse(*words: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    add_data_options(parser)
    return parser.parse_args(words)


def test_options_win(tmp_path: Path) -> None:
    (tmp_path / "r.yaml").write_text("evaluate: {test: a.tsv, rows: 5, label_names: {x: y}}\n")
    config = config_of(parse("--config", str(tmp_path / "r.yaml"), "--rows", "7"), "evaluate", BUNDLE)
    assert (config.test, config.rows, config.label_names) == ("a.tsv", 7, {"x": "y"})


def test_a_recipe_says_how_its_bundle_is_judged() -> None:
    recipe = Path(training.__file__).parent / "recipes" / "tiny.yaml"
    config = config_of(parse("--config", str(recipe)), "evaluate", BUNDLE)
    assert config.test == "training/sample/sentiment/test.tsv"


def test_label_names() -> None:
    assert config_of(parse("--label-names", "0=bad", "1=a=b"), "x", BUNDLE).label_names == {
        "0": "bad",
        "1": "a=b",
    }
    with pytest.raises(UserError, match="'0:bad' is not OLD=NEW"):
        config_of(parse("--label-names", "0:bad"), "x", BUNDLE)
