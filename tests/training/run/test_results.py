"""A run says what came out in the words of the verbs, and how to serve it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from training.corpus.config import CorpusConfig, SourceConfig
from training.evaluate.report import JSON
from training.pretrain.config import PretrainConfig
from training.run.recipe import BundleRecipe, Recipe
from training.run.results import show_evaluation, show_finetuning, show_published


def test_a_failed_fine_tuning_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    report = {
        "metric": "accuracy",
        "seeds": [{"tokens_per_second": 100.0}],
        "test_mean": {"accuracy": 0.45},
        "test_std": {"accuracy": 0.0},
        "failed": 1,
        "seconds": 3.0,
        "precision": "fp32",
    }
    (tmp_path / "finetune.json").write_text(json.dumps(report), encoding="utf-8")
    show_finetuning(tmp_path)
    shown = capsys.readouterr().out
    assert "test accuracy 45.00" in shown
    assert "1 of 1 runs failed (no better than the majority class)" in shown


def test_warnings_come_before_the_verdict(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    report = {"warnings": ["two rows are empty"], "headline": ["The bundle clears its bar."]}
    (tmp_path / JSON).write_text(json.dumps(report), encoding="utf-8")
    show_evaluation(tmp_path)
    assert capsys.readouterr().out == "two rows are empty\nThe bundle clears its bar.\n"


def test_bundles_reports_and_the_line_that_serves_them(capsys: pytest.CaptureFixture[str]) -> None:
    recipe = Recipe(
        name="mine",
        output="runs/mine",
        models="my models",
        corpus=CorpusConfig(sources=(SourceConfig(path="text"),)),
        pretrain=PretrainConfig(),
        bundles={"a": BundleRecipe(evaluate={"test": "t.tsv"}), "b": BundleRecipe()},
    )
    show_published(recipe, {"a": Path("my models/a/1"), "b": Path("my models/b/2")})
    assert capsys.readouterr().out.splitlines() == [
        "a: my models/a/1, report runs/mine/reports/a/report.md",
        "b: my models/b/2, not judged",
        "serve them: electra-serve --models-dir 'my models'",
    ]
    show_published(recipe, {})
    assert capsys.readouterr().out == ""
