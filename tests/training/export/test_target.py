"""Where a bundle goes, and what is refused by its path alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from training.errors import UserError
from training.export.config import ExportConfig
from training.export.target import check_paths, target_directory


def test_the_next_free_number_is_taken(tmp_path: Path) -> None:
    config = ExportConfig(name="x", checkpoint="c", models_dir=str(tmp_path))
    assert target_directory(config) == tmp_path / "x" / "1"
    for version in ("2", "10", "old"):
        (tmp_path / "x" / version).mkdir(parents=True)
    assert target_directory(config) == tmp_path / "x" / "11"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"version": "1"}, "x/1: exists; leave `version` out"),
        ({"checkpoint": "nowhere"}, "nowhere: no such checkpoint directory"),
        ({"generator": "nowhere"}, "nowhere: no such checkpoint directory"),
        ({"texts": ["gone.txt"]}, r"gone\.txt: no such file"),
        ({"test_data": "gone.tsv"}, r"gone\.tsv: no such file"),
        ({"calibration_data": "gone.jsonl"}, r"gone\.jsonl: no such file"),
    ],
)
def test_paths_that_cannot_be_used_are_named(changes: dict[str, Any], message: str, tmp_path: Path) -> None:
    (tmp_path / "x" / "1").mkdir(parents=True)
    (tmp_path / "config.json").write_text('{"model_type": "electra"}', encoding="utf-8")
    values = {"name": "x", "checkpoint": str(tmp_path), "models_dir": str(tmp_path)}
    check_paths(ExportConfig(**values))  # type: ignore[arg-type]
    with pytest.raises(UserError, match=message):
        check_paths(ExportConfig(**(values | changes)))
