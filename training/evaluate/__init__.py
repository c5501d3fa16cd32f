"""Evaluation: a bundle judged by what it serves."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from training.evaluate.config import EvaluateConfig
    from training.evaluate.report import Report


def evaluate(bundle_dir: Path, config: EvaluateConfig, *, progress: bool = True) -> Report:
    """Judge one bundle and write its report; see :func:`training.evaluate.judge.evaluate`."""
    # Imported here so that the commands' --help does not wait for scikit-learn and matplotlib.
    from training.evaluate.judge import evaluate as judge

    return judge(bundle_dir, config, progress=progress)
