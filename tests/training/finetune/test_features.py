"""Rows are what the service would send to the model, and token labels reach their tokens."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer

from app.bundle import SpecialTokens
from app.text.encoder import TextEncoder
from training.errors import UserError
from training.finetune.features import (
    IGNORED,
    FeatureBuilder,
    check_vocabulary,
    collate,
    shorten,
    touching,
    unknown_share,
)
from training.tables import ORIGINAL, REPLACED, Example
from training.tokenizer import load_tokenizer


@pytest.fixture(scope="module")
def tokenizer(checkpoint: Path) -> Tokenizer:
    return load_tokenizer(checkpoint)


def _pieces(tokenizer: Tokenizer, ids: np.ndarray) -> list[str]:
    return [tokenizer.id_to_token(int(index)) for index in ids]


@pytest.mark.parametrize("text", ["味道很好！ Good", "[MASK]和[SEP]", "ＡＢ１ ff", "a👍🏽b", "é\u0301 x"])
def test_rows_equal_those_of_the_service(checkpoint: Path, tokenizer: Tokenizer, text: str) -> None:
    encoder = TextEncoder(
        checkpoint / "tokenizer.json", SpecialTokens(pad=0, unk=1, cls=2, sep=3, mask=4), max_tokens=64
    )
    builder = FeatureBuilder(tokenizer, "single_label", ["x", "y"], 64)
    one, pair = builder.build([Example(text, "", ("x",)), Example(text, "", ("y",), "很差")])
    served = encoder.sequence(encoder.encode(text).ids)
    assert one.input_ids.tolist() == served.input_ids.tolist()
    served = encoder.sequence(encoder.encode(text).ids, encoder.encode("很差").ids)
    assert pair.input_ids.tolist() == served.input_ids.tolist()
    assert pair.token_type_ids.tolist() == served.token_type_ids.tolist()
    assert (int(one.target), int(pair.target)) == (0, 1)


@given(st.integers(0, 30), st.integers(0, 30), st.integers(8, 32))
def test_a_pair_loses_from_its_longer_text(first: int, second: int, limit: int) -> None:
    one, two, cut = shorten(range(first), range(second), limit)
    assert two is not None
    assert len(one) + len(two) == min(first + second, limit - 3)
    assert cut == (first + second > limit - 3)
    if cut:
        lost_one, lost_two = first - len(one), second - len(two)
        assert abs(len(one) - len(two)) <= 1 or (lost_two == 0) or (lost_one == 0)
        assert one == range(len(one))
        assert two == range(len(two))
        assert (len(one) >= len(two) - 1) if first >= second else (len(two) >= len(one) - 1)


def test_a_single_text_is_cut_and_says_so(tokenizer: Tokenizer) -> None:
    builder = FeatureBuilder(tokenizer, "multi_label", ["x", "y", "z"], 8)
    short, long = builder.build([Example("好", "", ("z", "x")), Example("好" * 20, "", ())])
    assert (len(short), short.truncated, len(long), long.truncated) == (3, False, 8, True)
    assert short.target.tolist() == [1, 0, 1]
    (told,) = builder.build([Example("味道很好今天的价格", "", ())])
    assert _pieces(tokenizer, told.input_ids) == ["[CLS]", *"味道很好今天", "[SEP]"]
    assert long.target.tolist() == [0, 0, 0]


def test_the_first_piece_of_a_word_carries_its_label(tokenizer: Tokenizer) -> None:
    builder = FeatureBuilder(tokenizer, "token_labels", ["B", "I", "O"], 32)
    example = Example("我觉得nice", "", ("O", "B", "I", "O"), None, ((0, 1), (1, 2), (2, 3), (3, 7)))
    (row,) = builder.build([example])
    pieces = _pieces(tokenizer, row.input_ids)
    assert pieces == ["[CLS]", "我", "觉", "得", "n", "##i", "##c", "##e", "[SEP]"]
    assert row.target.tolist() == [IGNORED, 2, 0, 1, 2, IGNORED, IGNORED, IGNORED, IGNORED]
    assert row.units.tolist() == [[0, 1], [1, 2], [2, 3], [3, 4]]


def test_every_token_that_touches_an_error_is_wrong(tokenizer: Tokenizer) -> None:
    builder = FeatureBuilder(tokenizer, "error_detection", [ORIGINAL, REPLACED], 32)
    (row,) = builder.build([Example("好 nice 好", "", (REPLACED,), None, ((3, 4),))])
    assert _pieces(tokenizer, row.input_ids)[2:6] == ["n", "##i", "##c", "##e"]
    assert row.target.tolist() == [IGNORED, 0, 0, 1, 0, 0, 0, IGNORED]
    (row,) = builder.build([Example("好 nice 好", "", (REPLACED,), None, ((2, 6),))])
    assert row.target.tolist() == [IGNORED, 0, 1, 1, 1, 1, 0, IGNORED]


def test_a_long_text_of_a_token_task_loses_no_token(tokenizer: Tokenizer) -> None:
    text = "味道很好" * 9
    labels = tuple("AB"[at % 2] for at in range(36))
    spans = tuple((at, at + 1) for at in range(36))
    rows = FeatureBuilder(tokenizer, "token_labels", ["A", "B"], 12).build(
        [Example("好", "", ("A",), None, ((0, 1),)), Example(text, "", labels, None, spans)]
    )
    assert [row.example for row in rows] == [0, 1, 1, 1, 1]
    units = np.concatenate([row.units for row in rows[1:]])
    assert units[:, 0].tolist() == list(range(36))
    seen = [int(row.target[place]) for row in rows[1:] for _, place in row.units]
    assert seen == [at % 2 for at in range(36)]


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(1, 4)), max_size=8), st.data())
def test_touching_equals_brute_force(gaps: list[tuple[int, int]], data: st.DataObject) -> None:
    def spans(pairs: list[tuple[int, int]]) -> list[tuple[int, int]]:
        at, result = 0, []
        for gap, length in pairs:
            result.append((at + gap, at + gap + length))
            at += gap + length
        return result

    units = spans(gaps)
    offsets = spans(data.draw(st.lists(st.tuples(st.integers(0, 3), st.integers(1, 4)), max_size=8)))
    wanted = [
        (u, p)
        for u, (start, end) in enumerate(units)
        for p, (first, last) in enumerate(offsets)
        if start < last and first < end
    ]
    assert touching(units, offsets) == wanted


def test_batches_are_padded_with_nothing_asked(tokenizer: Tokenizer) -> None:
    builder = FeatureBuilder(tokenizer, "error_detection", [ORIGINAL, REPLACED], 32)
    batch = collate(builder.build([Example("好", "", ()), Example("味道很", "", ())]), pad_id=0)
    assert batch["attention_mask"].tolist() == [[1, 1, 1, 0, 0], [1] * 5]
    assert batch["input_ids"][0, 3:].tolist() == [0, 0]
    assert batch["target"].tolist() == [[IGNORED, 0] + [IGNORED] * 3, [IGNORED, 0, 0, 0, IGNORED]]


def test_unlabelled_rows_ask_nothing(tokenizer: Tokenizer) -> None:
    (row,) = FeatureBuilder(tokenizer, "multi_label", ["x", "y"], 8).build(
        [Example("好", "", ())], labelled=False
    )
    assert np.isnan(row.target).all()


def test_a_vocabulary_that_does_not_fit_is_refused(tokenizer: Tokenizer) -> None:
    size = tokenizer.get_vocab_size()
    check_vocabulary(tokenizer, size, "here")
    with pytest.raises(UserError, match=rf"here: the tokenizer has ids up to {size - 1}, the model only 9"):
        check_vocabulary(tokenizer, 9, "here")


def test_share_of_unknown_tokens(tokenizer: Tokenizer) -> None:
    rows = FeatureBuilder(tokenizer, "single_label", ["x"], 8).build([Example("好龘龘好", "", ("x",))])
    assert unknown_share(rows, tokenizer.token_to_id("[UNK]")) == 0.5
