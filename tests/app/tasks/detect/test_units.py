from itertools import pairwise

import numpy as np
import pytest
import regex
from hypothesis import given
from hypothesis import strategies as st

from app.bundle import read_bundle
from app.tasks.detect.units import document_score, exempt_ranges, flagged_spans, is_flagged, make_units
from app.tasks.model import load_encoder
from app.text.scripts import mark_classes
from tests.hard_text import hard_text
from tests.toy import toy_bundle

GRANULARITIES = ("token", "char", "word")


@pytest.fixture(scope="module")
def encoder(tmp_path_factory):
    return load_encoder(read_bundle(toy_bundle(tmp_path_factory.mktemp("models"), "encoder")))


def none(text):
    return np.zeros(len(text), bool)


def units_of(encoder, text, granularity, *, probabilities=None, ignored=None, protected=None):
    encoded = encoder.encode(text)
    if probabilities is None:
        probabilities = np.linspace(0.1, 0.9, len(encoded))
    ignored = none(text) if ignored is None else ignored
    protected = none(text) if protected is None else protected
    return make_units(text, encoded, np.asarray(probabilities), granularity, ignored, protected)


def texts(text, units):
    return [text[unit.start : unit.end] for unit in units]


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
    assert texts(text, units_of(encoder, text, granularity)) == expected


def test_a_unit_scores_as_its_most_suspect_token(encoder):
    (unit,) = units_of(encoder, "iphone15", "word", probabilities=[0.2, 0.7, 0.1])
    assert unit.score == 0.7
    assert [u.score for u in units_of(encoder, "ﬁ", "char", probabilities=[0.2, 0.6])] == [0.6]


def test_unknown_tokens_are_marked_and_do_not_speak_for_known_ones(encoder):
    unknown, known = units_of(encoder, "龘好", "word", probabilities=[0.9, 0.3])
    assert (unknown.unknown, known.unknown) == (True, False)
    assert not is_flagged(unknown, 0.5, flag_unknown=False)
    assert is_flagged(unknown, 0.5, flag_unknown=True)


@given(st.data(), hard_text, st.sampled_from(GRANULARITIES))
def test_units_are_in_order_and_hold_every_token(encoder, data, text, granularity):
    encoded = encoder.encode(text)
    probabilities = data.draw(st.lists(st.floats(0, 1), min_size=len(encoded), max_size=len(encoded)))
    units = units_of(encoder, text, granularity, probabilities=probabilities)
    assert {index for unit in units for index in unit.tokens} == set(range(len(encoded)))
    assert all(unit.start < unit.end for unit in units)
    starts = [unit.start for unit in units]
    assert starts == sorted(starts)
    if granularity != "token":
        assert all(first.end <= second.start for first, second in pairwise(units))
    if granularity == "char":
        assert all(regex.fullmatch(r"\X", text[unit.start : unit.end]) for unit in units)


@given(st.data(), hard_text, st.sampled_from(GRANULARITIES), st.floats(0, 1))
def test_spans_hold_the_flagged_units_and_nothing_else(encoder, data, text, granularity, threshold):
    encoded = encoder.encode(text)
    probabilities = data.draw(st.lists(st.floats(0, 1), min_size=len(encoded), max_size=len(encoded)))
    ignored = mark_classes(text, ["punctuation"])
    units = units_of(encoder, text, granularity, probabilities=probabilities, ignored=ignored)
    spans = flagged_spans(text, units, threshold, flag_unknown=False)
    flagged = [unit for unit in units if is_flagged(unit, threshold, flag_unknown=False)]
    assert {index for span in spans for index in span.tokens} == {i for unit in flagged for i in unit.tokens}
    for span in spans:
        inside = [unit for unit in flagged if span.start <= unit.start and unit.end <= span.end]
        assert span.score == max(unit.score for unit in inside) >= threshold
        covered = {position for unit in inside for position in range(unit.start, unit.end)}
        assert covered >= set(range(span.start, span.end)) or granularity == "word"


@given(st.data(), hard_text, st.sampled_from(GRANULARITIES))
def test_a_higher_threshold_flags_a_subset(encoder, data, text, granularity):
    units = units_of(encoder, text, granularity)
    low, high = sorted(data.draw(st.lists(st.floats(0, 1), min_size=2, max_size=2)))
    flagged = {t: {u for u in units if is_flagged(u, t, flag_unknown=False)} for t in (low, high)}
    assert flagged[high] <= flagged[low]


@pytest.mark.parametrize(
    ("text", "granularity", "expected"),
    [
        ("我喜欢，好", "word", ["我喜欢", "，", "好"]),
        ("好apple好", "word", ["好", "apple", "好"]),
        ("bad dog", "word", ["bad", "dog"]),
        ("iphone15", "token", ["iphone15"]),
        ("iphone15", "char", ["iphone15"]),
        ("iphone15 pro", "char", ["iphone15", "pro"]),
        ("ﬁ", "token", ["ﬁ"]),
    ],
)
def test_touching_units_of_one_script_or_word_make_one_span(encoder, text, granularity, expected):
    units = units_of(encoder, text, granularity)
    assert texts(text, flagged_spans(text, units, 0.0, flag_unknown=False)) == expected


def test_a_unit_between_parts_a_span(encoder):
    text = "我喜欢"
    units = units_of(encoder, text, "char", probabilities=[0.9, 0.1, 0.9])
    assert texts(text, flagged_spans(text, units, 0.5, flag_unknown=False)) == ["我", "欢"]


def test_ignored_means_all_of_a_unit_and_protected_any_of_it():
    offsets = np.array([[0, 2], [2, 4], [4, 6]])
    marks = np.array([True, True, True, False, False, False])
    assert exempt_ranges(offsets, marks, ~marks & False).tolist() == [True, False, False]
    assert exempt_ranges(offsets, ~marks & False, marks).tolist() == [True, True, False]
    assert exempt_ranges(np.zeros((0, 2), np.int64), marks, marks).tolist() == []


def test_the_document_score_is_the_mean_over_what_counts(encoder):
    text = "好龘坏。吃"
    encoded = encoder.encode(text)
    ignored = mark_classes(text, ["punctuation"])
    protected = none(text)
    protected[4] = True
    probabilities = np.array([0.2, 0.9, 0.6, 0.9, 0.9])
    assert document_score(encoded, probabilities, ignored, protected) == pytest.approx(0.4)
    assert document_score(encoded, probabilities, ~ignored | True, protected) == 0.0
