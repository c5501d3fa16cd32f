from itertools import pairwise

import pytest
import regex
from hypothesis import given
from hypothesis import strategies as st

from app.bundle_files import read_bundle
from app.tasks.detect.grouping import group_tokens
from app.tasks.model import load_encoder
from tests.hard_text import hard_text
from tests.toy import toy_bundle

GRANULARITIES = ("token", "char", "word")


@pytest.fixture(scope="module")
def encoder(tmp_path_factory):
    return load_encoder(read_bundle(toy_bundle(tmp_path_factory.mktemp("models"), "encoder")))


def group(encoder, text, granularity):
    return group_tokens(text, encoder.encode(text), granularity)


def members(grouping):
    return [grouping.tokens(index, index + 1).tolist() for index in range(len(grouping))]


@pytest.mark.parametrize(
    ("granularity", "expected"),
    [
        ("token", ["我", "iPhone", "1", "5", "é", "ﬁ", "ﬁ", "n", "e", "。"]),
        ("char", ["我", "i", "P", "h", "o", "n", "e", "1", "5", "é", "ﬁ", "n", "e", "。"]),
        ("word", ["我", "iPhone15", "é", "ﬁne", "。"]),
    ],
)
def test_what_a_unit_is(encoder, granularity, expected):
    text = "我iPhone15 é ﬁne。"
    offsets = group(encoder, text, granularity).offsets.tolist()
    assert [text[start:end] for start, end in offsets] == expected


def test_units_name_the_tokens_beneath(encoder):
    text = "我iPhone1 ﬁ"
    assert members(group(encoder, text, "token")) == [[0], [1], [2], [3], [4]]
    assert members(group(encoder, text, "word")) == [[0], [1, 2], [3, 4]]
    assert members(group(encoder, text, "char")) == [[0], [1], [1], [1], [1], [1], [1], [2], [3, 4]]
    assert group(encoder, text, "word").tokens(1, 3).tolist() == [1, 2, 3, 4]


def test_what_continues_a_word(encoder):
    text = "我iPh1 我"
    assert group(encoder, text, "token").continues.tolist() == [False, False, True, True, True, False]
    assert group(encoder, text, "char").continues.tolist() == [False, False, True, True, True, False]
    assert not group(encoder, text, "word").continues.any()


@pytest.mark.parametrize("granularity", GRANULARITIES)
def test_a_text_without_tokens_has_no_units(encoder, granularity):
    grouping = group(encoder, "\u200b", granularity)
    assert len(grouping) == 0
    assert grouping.offsets.shape == (0, 2)


@given(hard_text, st.sampled_from(GRANULARITIES))
def test_units_are_in_order_and_hold_every_token(encoder, text, granularity):
    encoded = encoder.encode(text)
    grouping = group_tokens(text, encoded, granularity)
    offsets = grouping.offsets.tolist()
    assert sorted({index for tokens in members(grouping) for index in tokens}) == list(range(len(encoded)))
    assert all(start < end for start, end in offsets)
    for (start, end), tokens in zip(offsets, members(grouping), strict=True):
        beneath = encoded.offsets[tokens].tolist()
        assert tokens
        assert all(first < end and last > start for first, last in beneath)
    if granularity == "token":
        assert [start for start, _ in offsets] == sorted(start for start, _ in offsets)
    else:
        assert all(first[1] <= second[0] for first, second in pairwise(offsets))
    if granularity == "char":
        assert all(regex.fullmatch(r"\X", text[start:end]) for start, end in offsets)


@given(hard_text)
def test_a_character_lies_in_exactly_the_tokens_that_cover_it(encoder, text):
    encoded = encoder.encode(text)
    grouping = group_tokens(text, encoded, "char")
    for (start, _), tokens in zip(grouping.offsets.tolist(), members(grouping), strict=True):
        covering = [i for i, (first, last) in enumerate(encoded.offsets.tolist()) if first <= start < last]
        assert tokens == covering
