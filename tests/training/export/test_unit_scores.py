"""Scores land on the units that the labels speak of."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from app.tasks.model import ServedModel
from training.errors import UserError
from training.export.unit_scores import score_units
from training.tables import read_table

HIGH, LOW = 1 / (1 + np.exp(-4)), 1 / (1 + np.exp(4))


def test_characters(detector: ServedModel, errors: Path) -> None:
    units = score_units(detector, read_table(errors, "error_detection").examples)
    text = "".join(example.text for example in read_table(errors, "error_detection").examples)
    assert len(units.scores) == len(text) == len(units.wrong)
    for character, score, scored in zip(text, units.scores, units.scored, strict=True):
        if character == "。":
            assert (score, scored) == (0.0, False)
        else:
            assert scored
            assert abs(score - (HIGH if character in "错坏" else LOW)) < 1e-6
    assert np.flatnonzero(units.wrong).tolist() == [4, 10, 11, text.index("人们")]
    assert units.sentence_labels().tolist() == [True, True, False, False, True]
    np.testing.assert_allclose(units.logits[units.scored & (units.scores > 0.5)], 4.0, atol=1e-5)


def test_words_take_the_greatest_score_of_their_characters(detector: ServedModel, tmp_path: Path) -> None:
    file = tmp_path / "words.jsonl"
    file.write_text(json.dumps({"tokens": ["the", "cat", "错", "mat", "."], "errors": [2]}), encoding="utf-8")
    units = score_units(detector, read_table(file, "error_detection").examples)
    assert units.scores.round(3).tolist() == [0.018, 0.018, 0.982, 0.018, 0.0]
    assert units.scored.tolist() == [True, True, True, True, False]


def test_a_text_that_is_refused_is_named(detector: ServedModel, tmp_path: Path) -> None:
    file = tmp_path / "broken.jsonl"
    rows = [{"text": "我", "errors": []}] * 2
    file.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    first, second = read_table(file, "error_detection").examples
    with pytest.raises(UserError, match="line 2: holds half of a surrogate pair at position 1"):
        score_units(detector, [first, replace(second, text="我\ud800")])


def test_unknown_words_are_never_scored(detector: ServedModel, tmp_path: Path) -> None:
    file = tmp_path / "unknown.jsonl"
    file.write_text(json.dumps({"text": "我鑫错", "errors": [1]}, ensure_ascii=False), encoding="utf-8")
    units = score_units(detector, read_table(file, "error_detection").examples)
    assert units.scored.tolist() == [True, False, True]
    assert units.scores[1] == 0
