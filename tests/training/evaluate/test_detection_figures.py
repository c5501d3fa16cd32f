"""Detection figures by hand and against scikit-learn."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import f1_score, fbeta_score, precision_score, recall_score

from app.tasks.model import ServedModel
from training.evaluate.detection_figures import figures_at
from training.export.unit_scores import UnitScores, score_units
from training.tables import read_table


def test_the_example_by_hand(detector: ServedModel, errors: Path) -> None:
    units = score_units(detector, read_table(errors, "error_detection").examples)
    figures = figures_at(units, 0.5)
    # Flags: 错 (right), 坏 in 今天天坏 (right), 坏 in 不坏 (false). Wrong units: 错, 坏, 很, 人.
    assert figures.precision == pytest.approx(2 / 3)
    assert figures.recall == pytest.approx(2 / 4)
    assert figures.f1 == pytest.approx(4 / 7)
    # Found exactly: the first text. Flagged: the first three. With errors: the first two and the last.
    assert figures.sentence_precision == pytest.approx(1 / 3)
    assert figures.sentence_recall == pytest.approx(1 / 3)
    assert figures.false_alarms == pytest.approx(1 / 2)
    right_units = int((~units.wrong).sum())
    assert figures.flags_per_thousand == pytest.approx(1000 / right_units)


@given(st.lists(st.tuples(st.floats(0, 1), st.booleans(), st.integers(0, 4)), min_size=1, max_size=60))
def test_character_level_is_scikit_learns(rows: list[tuple[float, bool, int]]) -> None:
    scores, wrong, text = (np.array(column) for column in zip(*rows, strict=True))
    units = UnitScores(scores, wrong.astype(bool), np.ones(len(rows), bool), text.astype(np.int64), 5)
    figures, flagged = figures_at(units, 0.5), scores >= 0.5
    own = {"zero_division": 0.0}
    assert figures.precision == pytest.approx(precision_score(wrong, flagged, **own))
    assert figures.recall == pytest.approx(recall_score(wrong, flagged, **own))
    assert figures.f1 == pytest.approx(f1_score(wrong, flagged, **own))
    assert figures.f05 == pytest.approx(fbeta_score(wrong, flagged, beta=0.5, **own))


@given(st.lists(st.tuples(st.booleans(), st.booleans(), st.integers(0, 4)), min_size=1, max_size=40))
def test_sentence_level_by_its_definition(rows: list[tuple[bool, bool, int]]) -> None:
    flagged, wrong, text = (np.array(column) for column in zip(*rows, strict=True))
    units = UnitScores(flagged.astype(float), wrong, np.ones(len(rows), bool), text.astype(np.int64), 5)
    found = flags = errors = 0
    for sentence in range(5):
        mine, gold = (
            set(np.flatnonzero(flagged & (text == sentence))),
            set(np.flatnonzero(wrong & (text == sentence))),
        )
        flags, errors = flags + bool(mine), errors + bool(gold)
        found += bool(gold) and mine == gold
    figures = figures_at(units, 0.5)
    assert figures.sentence_precision == pytest.approx(found / max(flags, 1))
    assert figures.sentence_recall == pytest.approx(found / max(errors, 1))


def test_what_cannot_be_flagged_counts_as_missed() -> None:
    units = UnitScores(
        np.zeros(2), np.array([True, False]), np.array([False, True]), np.zeros(2, np.int64), 1
    )
    figures = figures_at(units, 0.0)
    assert (figures.recall, figures.precision) == (0.0, 0.0)
    assert figures.false_alarms is None
