"""B against A: what counts as better, and what cannot be compared."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from app.bundle import Calibration
from app.bundle_files import read_bundle, write_manifest
from tests.toy import toy_bundle
from training.errors import UserError
from training.evaluate.compare import Comparison, compare
from training.evaluate.config import EvaluateConfig
from training.evaluate.dry_run import write_summaries
from training.evaluate.statistics import Interval, PairedTest


def test_the_better_detector_is_found(tmp_path: Path) -> None:
    rows = "".join(
        '{"text": "我喜欢吃错果。", "errors": [4]}\n{"text": "今天天气很好。", "errors": []}\n'
        for _ in range(20)
    )
    (tmp_path / "errors.jsonl").write_text(rows, encoding="utf-8")
    blind = toy_bundle(tmp_path / "a", "blind", replaced=("坏",))
    seeing = toy_bundle(tmp_path / "b", "seeing", replaced=("错",))
    config = EvaluateConfig(errors=[str(tmp_path / "errors.jsonl")], resamplings=200, threads=1)
    result = compare(blind, seeing, config, progress=False)
    (test,) = result.tests
    assert (test.a, test.b) == (0.0, 1.0)
    assert result.better
    assert result.verdict == "seeing/1 is better than blind/1."
    back = compare(seeing, blind, config, progress=False)
    assert not back.better
    assert "is worse" in back.verdict


def test_the_threshold_of_each_bundle_counts(toys: Path, errors: Path, tmp_path: Path) -> None:
    deaf = tmp_path / "encoder" / "1"
    shutil.copytree(toys / "encoder" / "1", deaf)
    never = Calibration(
        thresholds={"balanced": 1.0, "precise": 1.0, "sensitive": 1.0}, fitted_on="x", date="x"
    )
    write_manifest(deaf, read_bundle(deaf).manifest.model_copy(update={"calibration": never}))
    config = EvaluateConfig(errors=[str(errors)], resamplings=100, threads=1)
    (test,) = compare(toys / "encoder" / "1", deaf, config, progress=False).tests
    assert test.a == pytest.approx(4 / 7)
    assert test.b == 0


def test_a_bundle_is_not_better_than_itself(toys: Path, tmp_path: Path) -> None:
    write_summaries(
        tmp_path / "sum.jsonl",
        ["今天天气很好。", "我们去公园。", "新闻不坏。", "The cat.", "中国。", "经济大好。"] * 3,
    )
    (tmp_path / "t.tsv").write_text("label\ttext\nnegative\t我\npositive\t好\n", encoding="utf-8")
    for name, own in (
        ("labels", {"test": str(tmp_path / "t.tsv")}),
        ("encoder", {"summaries": [str(tmp_path / "sum.jsonl")]}),
    ):
        config = EvaluateConfig(**own, resamplings=100, threads=1)
        result = compare(toys / name / "1", toys / name / "1", config, progress=False)
        assert not result.better
        assert result.verdict == f"No difference between {name}/1 and {name}/1 is shown."
        assert all(test.p == 1.0 for test in result.tests)
        assert result.as_json()["better"] is False


@pytest.mark.parametrize(
    ("verdicts", "better"),
    [("b", True), ("bn", True), ("bw", False), ("n", False), ("w", False)],
)
def test_better_somewhere_and_worse_nowhere(verdicts: str, better: bool) -> None:
    value = {"b": (0.1, 0.05, 0.2, 0.01), "w": (-0.1, -0.2, -0.05, 0.01), "n": (0.0, -0.1, 0.1, 0.9)}
    tests = [
        PairedTest(letter, 0, 0, Interval(*value[letter][:3]), value[letter][3], "t", 9)
        for letter in verdicts
    ]
    assert Comparison("a/1", "b/1", tests).better is better


def test_what_cannot_be_compared(toys: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="compare two of a kind"):
        compare(toys / "labels" / "1", toys / "encoder" / "1", EvaluateConfig())
    other = toy_bundle(tmp_path, "other", task="classify", labels=("x", "y"))
    with pytest.raises(UserError, match="know different labels"):
        compare(toys / "labels" / "1", other, EvaluateConfig(test="t"))
    with pytest.raises(UserError, match="name errors or summaries"):
        compare(toys / "encoder" / "1", toys / "encoder" / "1", EvaluateConfig())
