"""The section on classification against scikit-learn, on predictions that are known."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, confusion_matrix, f1_score, precision_recall_fscore_support

from app.tasks.local import local_model
from tests.toy import toy_bundle
from tests.training.evaluate.conftest import WORDS, write_labelled
from training.evaluate.classification import MAJORITY, TFIDF, decisions, judge_classifier
from training.evaluate.config import EvaluateConfig
from training.evaluate.labelled_set import read_test_set


def test_figures_are_scikit_learns(model, config: EvaluateConfig, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    test = read_test_set(model, config)
    section, probabilities = judge_classifier(model, test, config, tmp_path)
    gold, chosen = test.truth.argmax(1), probabilities.argmax(1)
    figures = section.figures["bundle"]
    assert figures["accuracy"]["value"] == pytest.approx(accuracy_score(gold, chosen))
    assert figures["macro_f1"]["value"] == pytest.approx(
        f1_score(gold, chosen, average="macro", zero_division=0)
    )
    assert figures["accuracy"]["low"] <= figures["accuracy"]["value"] <= figures["accuracy"]["high"]
    assert section.figures["confusion"] == confusion_matrix(gold, chosen, labels=[0, 1, 2]).tolist()
    expected = precision_recall_fscore_support(gold, chosen, labels=[0, 1, 2], zero_division=0)
    per_class = next(found for found in section.tables if found.caption == "Per class")
    np.testing.assert_allclose(np.array([row[1:] for row in per_class.rows], float), np.array(expected).T)
    assert {path.name for path in tmp_path.glob("*.png")} == {"reliability.png", "confusion.png"}


def test_baselines_stand_beside_every_figure(model, config: EvaluateConfig, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    section, _ = judge_classifier(model, read_test_set(model, config), config, tmp_path)
    assert section.figures[MAJORITY]["accuracy"]["value"] == 0.5  # "a" is four of eight
    for metric in section.metrics[:2]:
        assert metric.baseline == TFIDF
        assert metric.baseline_value == section.figures[TFIDF][metric.metric]["value"]
    accuracy, macro_f1 = section.metrics[:2]
    assert accuracy.baseline_p == section.figures["paired"]["p"]
    assert macro_f1.baseline_p is None, "the paired test counts right rows"


def test_without_train_rows_there_are_no_baselines(model, config: EvaluateConfig, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    alone = EvaluateConfig(test=config.test, resamplings=100)
    section, _ = judge_classifier(model, read_test_set(model, alone), alone, tmp_path)
    assert TFIDF not in section.figures
    assert section.metrics[0].baseline is section.metrics[0].baseline_p is None


def test_several_labels(tmp_path: Path) -> None:
    bundle = toy_bundle(
        tmp_path, "multi", task="classify", labels=("a", "b", "c"), problem_type="multi_label"
    )
    several = local_model(bundle, threads=1)
    rows = [("a|b", WORDS[0]), ("", WORDS[1]), ("c", WORDS[2]), ("a", WORDS[3])]
    own = EvaluateConfig(
        test=write_labelled(tmp_path / "test.tsv", rows, "labels"),
        train=[
            write_labelled(
                tmp_path / "train.tsv", [("a|c", "我"), ("b", "你"), ("a", "他"), ("b|c", "的")], "labels"
            )
        ],
        resamplings=100,
    )
    test = read_test_set(several, own)
    section, probabilities = judge_classifier(several, test, own, tmp_path)
    chosen = decisions(probabilities, several=True)
    assert test.truth.sum(axis=1).tolist() == [2, 0, 1, 1]
    assert section.figures["bundle"]["accuracy"]["value"] == (chosen == test.truth).all(axis=1).mean()
    assert "confusion" not in section.figures
    assert TFIDF in section.figures


def test_several_tables_are_judged_together_and_each(model, config: EvaluateConfig, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    films = write_labelled(tmp_path / "films" / "test.tsv", [("c", "不坏"), ("a", "good"), ("b", "公园")])
    own = EvaluateConfig(test=[*config.test_tables, films], train=config.train, resamplings=100, rows=4)
    test = read_test_set(model, own)
    assert [(one.name, one.split, one.rows) for one in test.tables] == [
        (tmp_path.name, "test", slice(0, 4)),
        ("films", "test", slice(4, 7)),
    ]
    assert (test.name, test.split) == (f"{tmp_path.name} + films", "test")
    section, probabilities = judge_classifier(model, test, own, tmp_path)
    right = (decisions(probabilities, several=False) == test.truth).all(axis=1)
    first, second = section.figures["tables"]
    assert first["rows"] == 4
    assert first["bundle"] == right[:4].mean()
    assert second["rows"] == 3
    assert second["bundle"] == right[4:].mean()
    assert section.figures["bundle"]["accuracy"]["value"] == right.mean()
    together = (4 * first[TFIDF] + 3 * second[TFIDF]) / 7
    assert section.figures[TFIDF]["accuracy"]["value"] == pytest.approx(together)
    assert [(metric.data_set, metric.n) for metric in section.metrics if metric.metric == "accuracy"] == [
        (f"{tmp_path.name} + films", 7),
        (tmp_path.name, 4),
        ("films", 3),
    ]
    assert [metric.baseline_p for metric in section.metrics if metric.n in (4, 3)] == [
        first["p"],
        second["p"],
    ]
    shown = next(found for found in section.tables if found.caption == "By test table")
    assert [row[0] for row in shown.rows] == [tmp_path.name, "films"]
