import time
from itertools import pairwise

import numpy as np
import pytest
import regex
from hypothesis import given
from hypothesis import strategies as st

from app.text.offsets import Utf16Positions, extend_to_graphemes, grapheme_starts, lone_surrogate
from tests.hard_text import hard_text


@given(hard_text)
def test_graphemes_are_the_clusters_of_unicode(text):
    edges = [*grapheme_starts(text).tolist(), len(text)]
    assert [text[start:end] for start, end in pairwise(edges)] == regex.findall(r"\X", text)


@given(hard_text, st.data())
def test_extended_ranges_hold_the_range_and_end_between_graphemes(text, data):
    edges = sorted(data.draw(st.lists(st.integers(0, len(text)), min_size=2, max_size=2)))
    start, end = extend_to_graphemes(text, np.array([edges]))[0]
    boundaries = {*grapheme_starts(text).tolist(), len(text)}
    assert start <= edges[0]
    assert end >= edges[1]
    assert {start, end} <= boundaries
    if set(edges) <= boundaries:
        assert [start, end] == edges


@given(hard_text, st.data())
def test_utf16_positions_are_those_of_the_encoded_text(text, data):
    start, end = sorted(data.draw(st.lists(st.integers(0, len(text)), min_size=2, max_size=2)))
    positions = Utf16Positions(text)
    first, last = positions.from_code_point(start), positions.from_code_point(end)
    assert text.encode("utf-16-le")[2 * first : 2 * last].decode("utf-16-le") == text[start:end]
    assert positions.to_code_point(first) == start
    assert positions.length == len(text.encode("utf-16-le")) // 2


def test_a_position_inside_a_surrogate_pair_is_refused():
    positions = Utf16Positions("a🍎b")
    assert positions.to_code_point(3) == 2
    with pytest.raises(ValueError, match="2 falls between"):
        positions.to_code_point(2)
    with pytest.raises(ValueError, match="5 is outside"):
        positions.to_code_point(5)


def test_lone_surrogates_are_found():
    assert lone_surrogate("ab\ud800c") == 2
    assert lone_surrogate("a🍎b") is None


def test_a_long_row_of_flags_takes_linear_time():
    started = time.process_time()
    assert len(grapheme_starts("🇨" * 60_001)) == 30_001
    assert time.process_time() - started < 10  # counting back at every flag takes a minute
