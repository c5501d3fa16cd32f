"""A toy classifier, and tables to judge it by."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.tasks.local import local_model
from app.tasks.model import ServedModel
from tests.toy import toy_bundle
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


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> ServedModel:
    """A classifier of a, b and c."""
    directory = tmp_path_factory.mktemp("models")
    return local_model(toy_bundle(directory, "abc", task="classify", labels=("a", "b", "c")), threads=1)


@pytest.fixture
def config(tmp_path: Path) -> EvaluateConfig:
    """Eight rows of test, and sixteen of train that say their label."""
    gold = ["a", "b", "c", "a", "b", "c", "a", "a"]
    test = write_labelled(tmp_path / "test.tsv", list(zip(gold, WORDS, strict=True)))
    train = write_labelled(
        tmp_path / "train.tsv",
        [(label, f"{label}{text}") for label, text in zip(gold * 2, WORDS * 2, strict=True)],
    )
    return EvaluateConfig(test=test, train=[train], resamplings=100, threads=1)


def write_labelled(path: Path, rows: list[tuple[str, str]], header: str = "label") -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [f"{header}\ttext", *(f"{label}\t{text}" for label, text in rows)]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return str(path)
