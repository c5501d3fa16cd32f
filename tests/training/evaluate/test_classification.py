"""The section on classification against scikit-learn, on predictions that are known."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, confusion_matrix, f1_score, precision_recall_fscore_support

from app.tasks.local import local_model
from tests.toy import toy_bundle
from training.errors import UserError
from training.evaluate.classification import (
    MAJORITY,
    TFIDF,
    data_set_name,
    decisions,
    judge_classifier,
    read_test_set,
)
from training.evaluate.config import EvaluateConfig

WORDS = [
    "我喜欢苹果",
    "今天天气很好",
    "the cat sat",
    "不坏的新闻",
    "公园的人们",
    "good dog",
    "中国体育",
    "一二三四五",
]


def table(path: Path, rows: list[tuple[str, str]], header: str = "label") -> str:
    lines = [f"{header}\ttext", *(f"{label}\t{text}" for label, text in rows)]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return str(path)


@pytest.fixture
def config(tmp_path: Path) -> EvaluateConfig:
    gold = ["a", "b", "c", "a", "b", "c", "a", "a"]
    test = table(tmp_path / "test.tsv", list(zip(gold, WORDS, strict=True)))
    train = table(
        tmp_path / "train.tsv",
        [(label, f"{label}{text}") for label, text in zip(gold * 2, WORDS * 2, strict=True)],
    )
    return EvaluateConfig(test=test, train=[train], resamplings=100, threads=1)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory):  # type: ignore[no-untyped-def]
    directory = tmp_path_factory.mktemp("models")
    return local_model(toy_bundle(directory, "abc", task="classify", labels=("a", "b", "c")), threads=1)


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


def test_without_train_rows_there_are_no_baselines(model, config: EvaluateConfig, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    alone = EvaluateConfig(test=config.test, resamplings=100)
    section, _ = judge_classifier(model, read_test_set(model, alone), alone, tmp_path)
    assert TFIDF not in section.figures
    assert section.metrics[0].baseline is None


def test_several_labels(tmp_path: Path) -> None:
    bundle = toy_bundle(
        tmp_path, "multi", task="classify", labels=("a", "b", "c"), problem_type="multi_label"
    )
    several = local_model(bundle, threads=1)
    rows = [("a|b", WORDS[0]), ("", WORDS[1]), ("c", WORDS[2]), ("a", WORDS[3])]
    own = EvaluateConfig(
        test=table(tmp_path / "test.tsv", rows, "labels"),
        train=[
            table(tmp_path / "train.tsv", [("a|c", "我"), ("b", "你"), ("a", "他"), ("b|c", "的")], "labels")
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


def test_data_that_does_not_fit(model, config: EvaluateConfig, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(UserError, match="name a labelled table as test"):
        read_test_set(model, EvaluateConfig())
    bad = table(tmp_path / "bad.tsv", [("a", "x"), ("7", "y")])
    with pytest.raises(
        UserError, match=r"bad\.tsv, line 3: label '7' is none of abc's \(a, b, c\); name its new"
    ):
        read_test_set(model, EvaluateConfig(test=bad))
    named = EvaluateConfig(test=bad, label_names={"7": "c"})
    assert read_test_set(model, named).examples[1].label == "c"


def test_rows_shared_with_train_are_counted(model, config: EvaluateConfig, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    shared = EvaluateConfig(test=config.test, train=[config.test or ""])
    (line,) = read_test_set(model, shared).warnings
    assert "8 train rows also stand in test" in line
    assert f"{config.test}, line 2" in line


def test_names_of_data_sets() -> None:
    assert data_set_name(Path("/data/cls/waimai/test.tsv.xz")) == ("waimai", "test")
    assert data_set_name(Path("mine.v2.tsv")) == ("mine", "all")
