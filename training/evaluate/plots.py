"""The plots of a report, as PNG. Drawn without a display, in a font that has Chinese where there is one."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib import font_manager
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from training.evaluate.statistics import Reliability

_CHINESE_FONTS = (
    "Noto Sans CJK SC",
    "Noto Sans SC",
    "Source Han Sans SC",
    "Noto Serif CJK SC",
    "WenQuanYi Micro Hei",
    "WenQuanYi Zen Hei",
    "Droid Sans Fallback",
    "SimHei",
    "Microsoft YaHei",
    "PingFang SC",
)
_MAX_NAMED_CLASSES = 40


@functools.cache
def chinese_font() -> str | None:
    """The first installed font that has Chinese, or None."""
    installed = set(font_manager.get_font_names())
    return next((name for name in _CHINESE_FONTS if name in installed), None)


def axis_labels(labels: Sequence[str]) -> list[str]:
    """``labels``, or ``#3`` for those that no installed font can draw; the report's tables have the names."""
    if chinese_font():
        return list(labels)
    return [label if label.isascii() else f"#{index}" for index, label in enumerate(labels)]


def reliability_plot(path: Path, curves: dict[str, Reliability]) -> None:
    """How often a confidence is right, for each of ``curves``; the diagonal is perfect calibration."""
    with _figure(path, 5, 5) as axes:
        axes.plot([0, 1], [0, 1], linestyle=":", color="grey")
        for name, curve in curves.items():
            label = f"{name} (ECE {curve.error:.3f})"
            axes.plot(curve.confidence, curve.accuracy, marker="o", markersize=4, label=label)
        axes.set(xlabel="confidence", ylabel="share right", xlim=(0, 1), ylim=(0, 1), title="Reliability")
        axes.legend(loc="upper left")


def confusion_plot(path: Path, matrix: np.ndarray, labels: Sequence[str]) -> None:
    """``matrix [true, predicted]`` as shares of each true class."""
    shares = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    size = min(3 + 0.35 * len(labels), 16)
    with _figure(path, size, size) as axes:
        axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
        axes.set(xlabel="predicted", ylabel="true", title="Confusion, share of the true class")
        if len(labels) <= _MAX_NAMED_CLASSES:
            names = axis_labels(labels)
            axes.set_xticks(range(len(names)), names, rotation=60, ha="right")
            axes.set_yticks(range(len(names)), names)
        if len(labels) <= 15:
            for row, column in np.ndindex(*matrix.shape):
                colour = "white" if shares[row, column] > 0.5 else "black"
                axes.text(
                    column, row, str(matrix[row, column]), ha="center", va="center", color=colour, size=7
                )


def precision_recall_plot(path: Path, curves: dict[str, tuple[np.ndarray, np.ndarray]]) -> None:
    """Precision over recall; each curve is ``(recall, precision)``."""
    with _figure(path, 5.5, 4.5) as axes:
        for name, (recall, precision) in curves.items():
            axes.plot(recall, precision, label=name)
        axes.set(
            xlabel="recall", ylabel="precision", xlim=(0, 1), ylim=(0, 1.02), title="Replaced or wrong units"
        )
        axes.legend(loc="upper right", fontsize=8)


def bars_plot(path: Path, title: str, values: dict[str, tuple[float, float, float]], unit: str) -> None:
    """Horizontal bars with intervals; each value is ``(value, low, high)``."""
    names = list(values)
    points = np.array([values[name] for name in names])
    errors = np.abs(points[:, 1:] - points[:, :1]).T
    with _figure(path, 6, 1 + 0.3 * len(names)) as axes:
        axes.barh(range(len(names)), points[:, 0], xerr=errors, color="#4878a8", ecolor="#333333")
        axes.set_yticks(range(len(names)), names)
        axes.invert_yaxis()
        axes.set(xlabel=unit, title=title)


@contextmanager
def _figure(path: Path, width: float, height: float) -> Iterator[Any]:
    """Axes of one figure, saved to ``path`` at the end. No global state: neither pyplot nor a backend."""
    families = [name for name in (chinese_font(), "DejaVu Sans") if name]
    with mpl.rc_context({"font.family": families, "axes.unicode_minus": False}):
        figure = Figure(figsize=(width, height), layout="constrained")
        FigureCanvasAgg(figure)
        yield figure.subplots()
        figure.savefig(path, dpi=110)
