"""Toy bundles whose answers are known, and texts with errors to judge them by."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from app.tasks.local import local_model
from app.tasks.model import ServedModel
from tests.toy import toy_bundle


@pytest.fixture(scope="session")
def toys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``encoder/1`` flags 错 and 坏; ``labels/1`` and ``labels/2`` are classifiers. Do not write into it."""
    directory = tmp_path_factory.mktemp("toys")
    toy_bundle(directory, "encoder", replaced=("错", "坏"))
    toy_bundle(directory, "labels", "1", task="classify", seed=0)
    toy_bundle(directory, "labels", "2", task="classify", seed=1)
    return directory


@pytest.fixture(scope="session")
def detector(toys: Path) -> ServedModel:
    return local_model(toys / "encoder" / "1", threads=1)


@pytest.fixture
def errors(tmp_path: Path) -> Path:
    """Five texts. The toy flags 错 and 坏: two hits, one miss, one false flag, one clean text."""
    rows = [
        {"text": "我喜欢吃错果。", "errors": [4]},
        {"text": "今天天坏很好。", "errors": [3, 4]},
        {"text": "他说的不坏。", "errors": []},
        {"text": "我去公园。", "errors": []},
        {"text": "人们吃苹果。", "errors": [0]},
    ]
    return write_jsonl(tmp_path / "errors.jsonl", rows)


def write_jsonl(path: Path, rows: list[dict]) -> Path:
    path.write_text("\n".join(json.dumps(row, ensure_ascii=False) for row in rows) + "\n", encoding="utf-8")
    return path
