"""Whole evaluations of toy bundles."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from app.bundle_files import read_bundle
from app.tasks.local import local_model
from training.errors import UserError
from training.evaluate import evaluate
from training.evaluate.config import EvaluateConfig
from training.evaluate.dry_run import write_summaries
from training.export.quality import predictions


def write_table(path: Path, rows: list[tuple[str, str]]) -> str:
    path.write_text("label\ttext\n" + "\n".join(map("\t".join, rows)) + "\n", encoding="utf-8")
    return str(path)


@pytest.fixture
def tables(tmp_path: Path) -> dict[str, object]:
    rows = [
        ("negative", "我喜欢苹果"),
        ("positive", "今天天气很好"),
        ("negative", "the cat"),
        ("positive", "good dog"),
    ]
    test = write_table(tmp_path / "test.tsv", rows)
    train = write_table(tmp_path / "train.tsv", [(label, text * 2) for label, text in rows * 3])
    return {"test": test, "train": [train], "resamplings": 100, "threads": 1, "latency_texts": 3}


def test_a_classifier(toys: Path, tables: dict, tmp_path: Path) -> None:
    directory = tmp_path / "labels" / "1"
    shutil.copytree(toys / "labels" / "1", directory)
    report = evaluate(directory, EvaluateConfig(**tables, output=str(tmp_path / "out"), record=True))
    values = json.loads((tmp_path / "out" / "report.json").read_text(encoding="utf-8"))
    paired = values["sections"][report.sections[0].title]["paired"]
    assert paired["verdict"] == "no difference shown", "four rows show nothing"
    assert report.passed is False
    assert read_bundle(directory).manifest.experimental
    assert (tmp_path / "out" / "reliability.png").is_file()
    assert {m.metric for m in read_bundle(directory).manifest.metrics} >= {"accuracy", "macro_f1"}


@pytest.mark.parametrize(
    ("rows", "floor", "better", "passed"),
    [(4, None, False, False), (40, None, True, True), (4, 0.5, False, False), (40, 1.0, True, False)],
)
def test_above_by_chance_is_not_above_and_a_floor_counts_too(
    rows: int, floor: float | None, better: bool, passed: bool, toys: Path, tmp_path: Path
) -> None:
    model = local_model(toys / "labels" / "1")
    texts = [f"今天天气很好{number}" for number in range(rows)]
    labels = model.bundle.manifest.labels
    right = [labels[index] for index in predictions(model, texts, None).argmax(axis=1)]
    wrong = [labels[1 - labels.index(label)] for label in right]
    test = write_table(tmp_path / "test.tsv", list(zip(right, texts, strict=True)))
    # The linear model learns the opposite of what the bundle says, which the test set calls right.
    lies = [*zip(wrong, texts, strict=True), (right[0], "the cat"), (wrong[0], "the dog")]
    own = {"test": test, "train": [write_table(tmp_path / "train.tsv", lies)], "latency_texts": 3}
    config = EvaluateConfig(**own, floor=floor, resamplings=100, threads=1, output=str(tmp_path / "out"))
    report = evaluate(toys / "labels" / "1", config)
    paired = report.sections[0].figures["paired"]
    assert (paired["verdict"] == "better") is better
    assert report.passed is passed


@pytest.mark.parametrize(("floor", "passed"), [(0.0, True), (1.0, False)])
def test_the_floor_decides(floor: float, passed: bool, toys: Path, tables: dict, tmp_path: Path) -> None:
    own = tables | {"train": [], "floor": floor, "output": str(tmp_path / "out")}
    # Labels as the model gives them in three of four rows, so that accuracy lies between the floors.
    report = evaluate(toys / "labels" / "1", EvaluateConfig(**own))
    accuracy = report.sections[0].figures["bundle"]["accuracy"]["value"]
    assert 0 < accuracy <= 1
    assert report.passed is passed
    assert ("experimental" in " ".join(report.headline)) is not passed


@pytest.mark.parametrize("record", [False, True])
def test_the_verdict_says_what_was_done(record: bool, toys: Path, tables: dict, tmp_path: Path) -> None:
    directory = tmp_path / "labels" / "1"
    shutil.copytree(toys / "labels" / "1", directory)
    for again in (False, True):
        own = tables | {"train": [], "floor": 1.0, "record": record and not again}
        report = evaluate(directory, EvaluateConfig(**own, output=str(tmp_path / "out")))
        assert report.passed is False
        assert read_bundle(directory).manifest.experimental is record
        said = "it is marked experimental." if record else "it is not marked experimental: give --record"
        assert said in " ".join(report.headline)


def test_an_encoder(toys: Path, errors: Path, tmp_path: Path) -> None:
    write_summaries(
        tmp_path / "sum.jsonl",
        ["今天天气很好。", "我们去公园。", "新闻不坏。", "The cat sat.", "喜欢中国。", "经济大好。"],
    )
    config = EvaluateConfig(
        errors=[str(errors)],
        clean=[str(write_clean(tmp_path))],
        summaries=[str(tmp_path / "sum.jsonl")],
        output=str(tmp_path / "out"),
        resamplings=100,
        latency_texts=3,
        threads=1,
    )
    report = evaluate(toys / "encoder" / "1", config, progress=False)
    assert [section.title.split()[0] for section in report.sections] == [
        "Detection",
        "Summarization",
        "Latency",
    ]
    assert report.passed is None
    assert "F1 0.571" in report.headline[0]
    assert "against lead on the same documents: ROUGE-1 " in report.headline[-1]
    images = {path.name for path in (tmp_path / "out").glob("*.png")}
    assert images == {"errors.png", "errors_reliability.png", "summaries-sum.png"}


def write_clean(directory: Path) -> Path:
    (directory / "clean.jsonl").write_text('{"text": "我去公园。", "errors": []}\n', encoding="utf-8")
    return directory / "clean.jsonl"


def test_data_for_another_task_and_no_data(toys: Path, errors: Path, tables: dict) -> None:
    with pytest.raises(UserError, match="errors: labels is a classifier; it is judged by test, train"):
        evaluate(toys / "labels" / "1", EvaluateConfig(errors=[str(errors)]))
    with pytest.raises(UserError, match="test: encoder is an encoder"):
        evaluate(toys / "encoder" / "1", EvaluateConfig(test=tables["test"]))
    with pytest.raises(UserError, match="encoder: nothing to judge it by"):
        evaluate(toys / "encoder" / "1", EvaluateConfig())


def test_a_bundle_that_cannot_be_served(toys: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"encoder: is not a bundle but holds bundles; give .*encoder/1$"):
        evaluate(toys / "encoder", EvaluateConfig(test="x"))
    with pytest.raises(UserError, match=r"bundle\.json: is missing"):
        evaluate(tmp_path, EvaluateConfig(test="x"))


def test_what_stands_in_the_way_is_said_before_the_work(
    toys: Path, tables: dict, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("training.evaluate.judge.read_test_set", None)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.md").write_text("years of work")
    with pytest.raises(UserError, match="mine"):
        evaluate(toys / "labels" / "1", EvaluateConfig(**tables, output=str(tmp_path / "mine")))
    model = local_model(toys / "labels" / "1", threads=1)
    monkeypatch.setattr("training.evaluate.judge.open_bundle", lambda *_: model)
    own = tables | {"record": True, "precision": "int8", "output": str(tmp_path / "out")}
    with pytest.raises(UserError, match="the figures of int8 are not of what labels serves, fp32"):
        evaluate(toys / "labels" / "1", EvaluateConfig(**own))
