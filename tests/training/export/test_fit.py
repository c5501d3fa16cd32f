"""Calibration and statistics in the bundle are those of the data that was named."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from app.bundle_files import read_bundle
from training.errors import UserError
from training.export import export
from training.export.config import ExportConfig


def encoder(material: Path, settings: dict, directory: Path, **changes: object) -> ExportConfig:
    values = {
        "name": "encoder",
        "checkpoint": str(material / "discriminator"),
        "models_dir": str(directory),
        "precisions": ["fp32"],
    }
    return ExportConfig(**(values | settings | changes))  # type: ignore[arg-type]


def test_thresholds_are_fitted_on_the_errors_that_were_given(
    material: Path, settings: dict, tmp_path: Path
) -> None:
    # The service never flags a full stop, nor the one word that the vocabulary lacks: 6 of 8 units count.
    rows = [{"text": "我们去吃饭喝水。", "errors": [index % 8]} for index in range(32)]
    file = tmp_path / "errors.jsonl"
    file.write_text("\n".join(json.dumps(row, ensure_ascii=False) for row in rows), encoding="utf-8")
    config = encoder(
        material, settings, tmp_path / "models", calibration_data=str(file), postprocess="whiten"
    )
    manifest = read_bundle(export(config, progress=False)).manifest
    assert manifest.calibration.fitted_on == "errors.jsonl (32 texts): 192 units, 24 of them wrong"
    assert manifest.pooling.postprocess == "whiten"
    with np.load(tmp_path / "models" / "encoder" / "1" / manifest.pooling.statistics.path) as arrays:
        assert arrays["mean"].shape == (32,)
        assert arrays["whitening"].shape[0] == 32


def test_calibration_data_without_errors_is_refused(material: Path, settings: dict, tmp_path: Path) -> None:
    file = tmp_path / "clean.jsonl"
    file.write_text('{"text": "我们去吃饭", "errors": []}\n', encoding="utf-8")
    config = encoder(material, settings, tmp_path / "models", calibration_data=str(file))
    with pytest.raises(UserError, match=r"clean\.jsonl: calibration needs right and replaced units"):
        export(config, progress=False)
    assert not list((tmp_path / "models" / "encoder").iterdir())
