"""Plots are drawn in silence, with a Chinese font or without."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest

from training.evaluate import plots
from training.evaluate.statistics import reliability

LABELS = ["体育", "finance", "教育"]


@pytest.mark.parametrize("with_font", [True, False])
def test_every_plot_is_an_image_and_nothing_warns(
    with_font: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not with_font:
        monkeypatch.setattr(plots, "chinese_font", lambda: None)
    curve = reliability(np.array([0.1, 0.5, 0.9]), np.array([False, True, True]))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        plots.reliability_plot(tmp_path / "a.png", {"bundle": curve})
        plots.confusion_plot(tmp_path / "b.png", np.arange(9).reshape(3, 3), LABELS)
        plots.confusion_plot(tmp_path / "c.png", np.eye(45, dtype=int), [str(i) for i in range(45)])
        plots.precision_recall_plot(tmp_path / "d.png", {"x": (np.array([1.0, 0.0]), np.array([0.5, 1.0]))})
        plots.bars_plot(tmp_path / "e.png", "title", {"lead": (0.3, 0.2, 0.4)}, "F")
    for name in "abcde":
        assert (tmp_path / f"{name}.png").read_bytes().startswith(b"\x89PNG")


def test_labels_that_cannot_be_drawn_get_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plots, "chinese_font", lambda: None)
    assert plots.axis_labels(LABELS) == ["#0", "finance", "#2"]
    monkeypatch.setattr(plots, "chinese_font", lambda: "some font")
    assert plots.axis_labels(LABELS) == LABELS
