from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.text.encoder import Encoded
from app.text.windows import Window, cut, distance_to_cut, merge_centre, plan_windows


def encode(lengths):
    """One word of ``length`` one-letter pieces for each of ``lengths``, with a space between words."""
    starts, continuation, position = [], [], 0
    for length in lengths:
        starts += range(position, position + length)
        continuation += [False] + [True] * (length - 1)
        position += length + 1
    offsets = np.array([(start, start + 1) for start in starts], np.int64).reshape(-1, 2)
    count = len(starts)
    return Encoded(np.full(count, 7), offsets, np.zeros(count, bool), np.array(continuation, bool))


@st.composite
def plans(draw):
    encoded = encode(draw(st.lists(st.integers(1, 7), max_size=60)))
    limit = draw(st.integers(1, 40))
    overlap = draw(st.integers(0, limit // 2))
    length = int(encoded.offsets[-1, 1]) if len(encoded) else 0
    ends = sorted(draw(st.sets(st.integers(1, max(length, 1)), max_size=10)) | {length})
    return encoded, limit, overlap, ends


@given(plans())
def test_windows_cover_the_text_within_the_limit_and_advance(plan):
    encoded, limit, overlap, ends = plan
    windows = plan_windows(encoded, limit, overlap, ends)
    covered = np.zeros(len(encoded), bool)
    for window in windows:
        assert 1 <= len(window) <= limit
        covered[window.start : window.end] = True
    assert covered.all()
    for before, after in pairwise(windows):
        assert before.start < after.start <= before.end
        assert before.end < after.end
        assert before.end - after.start <= overlap


@given(plans())
def test_cuts_stand_at_sentence_ends_where_there_is_one_else_between_words(plan):
    encoded, limit, overlap, ends = plan
    windows = plan_windows(encoded, limit, overlap, ends)
    starts = encoded.offsets[:, 0]
    words = {index for index in range(len(encoded)) if not encoded.continuation[index]}
    sentences = {int(np.searchsorted(starts, end)) for end in ends} & words
    for before, window in zip([Window(0, 0), *windows], windows[:-1], strict=False):
        may_end = range(max(window.start + limit // 2, before.end) + 1, window.start + limit + 1)
        if sentences & set(may_end):
            assert window.end in sentences
        elif words & set(may_end):
            assert window.end in words


def test_a_window_starts_at_a_sentence_within_the_overlap():
    encoded = encode([1] * 20)
    ends = [12, 20]  # behind the 6th and the 10th word
    assert plan_windows(encoded, 11, 5, ends) == [Window(0, 10), Window(6, 17), Window(12, 20)]


def test_windows_overlap_also_where_a_sentence_ends_between_them():
    encoded = encode([1] * 20)
    ends = [18, 40]  # behind the 9th and the last word
    assert plan_windows(encoded, 11, 3, ends) == [Window(0, 9), Window(6, 17), Window(14, 20)]


def test_a_word_longer_than_a_window_is_cut_inside():
    assert plan_windows(encode([9]), 4, 1, [9]) == [Window(0, 4), Window(3, 7), Window(6, 9)]


def test_tokens_of_one_character_are_not_parted():
    encoded = encode([1] * 6)
    encoded.offsets[2:4] = [4, 7]
    assert plan_windows(encoded, 3, 0, []) == [Window(0, 2), Window(2, 5), Window(5, 6)]


@pytest.mark.parametrize(("limit", "overlap"), [(0, 0), (4, 3), (4, -1)])
def test_windows_that_cannot_advance_are_refused(limit, overlap):
    with pytest.raises(ValueError, match="no room"):
        plan_windows(encode([1]), limit, overlap, [])


def test_a_cut_spares_the_word_it_would_part():
    assert cut(encode([3, 3]), 5) == Window(0, 3)
    assert cut(encode([3, 3]), 6) == Window(0, 6)
    assert cut(encode([9]), 5) == Window(0, 5)


@given(plans(), st.randoms(use_true_random=False))
def test_merging_takes_each_token_from_where_it_stands_most_central(plan, random):
    encoded, limit, overlap, ends = plan
    windows = plan_windows(encoded, limit, overlap, ends)
    values = [np.array([random.random() for _ in range(len(window))]) for window in windows]
    merged = merge_centre(windows, values, len(encoded))
    for token in range(len(encoded)):
        seen = [
            (distance_to_cut(window, len(encoded))[token - window.start], value[token - window.start])
            for window, value in zip(windows, values, strict=True)
            if window.start <= token < window.end
        ]
        best = max(distance for distance, _ in seen)
        assert merged[token] == next(value for distance, value in seen if distance == best)


def test_the_ends_of_the_text_are_no_cuts():
    assert distance_to_cut(Window(0, 3), 5).tolist() == [2, 1, 0]
    assert distance_to_cut(Window(2, 5), 5).tolist() == [0, 1, 2]
    assert distance_to_cut(Window(0, 5), 5).tolist() == [5] * 5
