"""Every precision and backend on the same rows."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.runtime.opening import openvino_installed
from app.tasks.local import local_model
from training.evaluate.backends import other_precisions
from training.evaluate.config import EvaluateConfig
from training.evaluate.labelled_set import read_test_set


def test_all_of_them_decide_alike(toys: Path, tmp_path: Path) -> None:
    model = local_model(toys / "labels" / "1", threads=1)
    rows = ["negative\t我喜欢苹果", "positive\tthe cat sat", "positive\t今天" + "天气很好" * 30]
    (tmp_path / "t.tsv").write_text("label\ttext\n" + "\n".join(rows), encoding="utf-8")
    config = EvaluateConfig(test=str(tmp_path / "t.tsv"), threads=1)
    section = other_precisions(model, read_test_set(model, config), config)
    assert "fp32, onnxruntime" in section.figures
    assert any(name.endswith("openvino") for name in section.figures) == openvino_installed()
    for figures in section.figures.values():
        assert figures["agreement"] == 1.0
        assert figures["accuracy"] == pytest.approx(section.figures["fp32, onnxruntime"]["accuracy"])
