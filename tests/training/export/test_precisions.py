"""What is kept, and that every precision is measured on the same rows."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.bundle import read_bundle
from training.export import export
from training.export.config import ExportConfig


@pytest.mark.parametrize("method", ["static", "best"])
def test_other_ways_to_int8(method: str, material: Path, settings: dict, tmp_path: Path) -> None:
    config = ExportConfig(
        name="x",
        checkpoint=str(material / "classifier"),
        models_dir=str(tmp_path),
        test_data=str(material / "test.tsv"),
        int8=method,
        **settings,
    )
    bundle = read_bundle(export(config, progress=False))
    assert bundle.manifest.graphs["model"].files.keys() == {"fp32", "int8"}
    assert sorted(path.name for path in bundle.path.glob("*.onnx")) == ["model.int8.onnx", "model.onnx"]


def test_without_a_test_set_int8_must_agree_with_fp32(material: Path, settings: dict, tmp_path: Path) -> None:
    config = ExportConfig(
        name="x", checkpoint=str(material / "classifier"), models_dir=str(tmp_path), **settings
    )
    quality = read_bundle(export(config, progress=False)).manifest.graphs["model"].quality
    assert quality["fp32"] == {"agreement": 1.0}
    assert 0.9 <= quality["int8"]["agreement"] <= 1.0
