import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.bundle_files import read_bundle
from app.tasks.detect.grouping import group_tokens
from app.tasks.detect.units import document_score, exempt_ranges, flagged_spans, score_units
from app.tasks.model import load_encoder
from app.text.scripts import mark_classes
from tests.hard_text import hard_text
from tests.toy import toy_bundle

GRANULARITIES = st.sampled_from(["token", "char", "word"])


@pytest.fixture(scope="module")
def encoder(tmp_path_factory):
    return load_encoder(read_bundle(toy_bundle(tmp_path_factory.mktemp("models"), "encoder")))


def units_of(encoder, text, granularity, probabilities=None, ignore=()):
    encoded = encoder.encode(text)
    if probabilities is None:
        probabilities = np.full(len(encoded), 0.5)
    grouping = group_tokens(text, encoded, granularity)
    ignored = mark_classes(text, ignore)
    exempt = exempt_ranges(grouping.offsets, ignored, np.zeros(len(text), bool))
    return score_units(grouping, encoded, np.asarray(probabilities, float), exempt)


def spans_of(text, units, threshold, flag_unknown=False):
    return flagged_spans(text, units, units.flagged(threshold, flag_unknown=flag_unknown))


def test_a_unit_scores_as_its_most_suspect_token(encoder):
    assert units_of(encoder, "iphone15", "word", [0.2, 0.7, 0.1]).scores.tolist() == [0.7]
    assert units_of(encoder, "ﬁ", "char", [0.2, 0.6]).scores.tolist() == [0.6]
    assert units_of(encoder, "ﬁ", "token", [0.2, 0.6]).scores.tolist() == [0.2, 0.6]


def test_unknown_units_are_marked_and_flagged_only_on_request(encoder):
    units = units_of(encoder, "龘好", "word", [0.9, 0.3])
    assert units.unknown.tolist() == [True, False]
    assert units.scores.tolist() == [0.9, 0.3]
    assert units.flagged(0.2, flag_unknown=False).tolist() == [False, True]
    assert units.flagged(0.5, flag_unknown=True).tolist() == [True, False]


def test_an_unknown_token_does_not_speak_for_a_known_one(encoder):
    units = units_of(encoder, "ﬁ", "char", [0.2, 0.6])
    encoded = encoder.encode("ﬁ")
    encoded.unknown[1] = True
    units = score_units(units.grouping, encoded, np.array([0.2, 0.6]), units.ignored)
    assert (units.scores.tolist(), units.unknown.tolist()) == ([0.2], [False])


def test_a_unit_is_flagged_from_the_threshold_on(encoder):
    assert units_of(encoder, "我", "word", [0.0]).flagged(0.0, flag_unknown=False).all(), "it is known"
    units = units_of(encoder, "我喜", "word", [0.5, 0.25])
    assert units.flagged(0.5, flag_unknown=False).tolist() == [True, False]
    assert units.flagged(0.25, flag_unknown=False).tolist() == [True, True]
    assert not units.flagged(np.nextafter(0.5, 1), flag_unknown=False).any()


def test_ignored_units_are_scored_and_not_flagged(encoder):
    units = units_of(encoder, "好。", "word", [0.3, 0.9], ignore=("punctuation",))
    assert units.ignored.tolist() == [False, True]
    assert units.scores.tolist() == [0.3, 0.9]
    assert units.flagged(0.0, flag_unknown=True).tolist() == [True, False]


@given(st.data(), hard_text, GRANULARITIES, st.floats(0, 1), st.booleans())
def test_spans_hold_the_flagged_units_and_nothing_else(
    encoder, data, text, granularity, threshold, flag_unknown
):
    count = len(encoder.encode(text))
    probabilities = data.draw(st.lists(st.floats(0, 1), min_size=count, max_size=count))
    units = units_of(encoder, text, granularity, probabilities, ignore=("punctuation",))
    flagged = np.flatnonzero(units.flagged(threshold, flag_unknown=flag_unknown)).tolist()
    spans = spans_of(text, units, threshold, flag_unknown)
    tokens = {int(index) for unit in flagged for index in units.grouping.tokens(unit, unit + 1)}
    assert {index for span in spans for index in span.tokens} == tokens
    offsets = units.grouping.offsets.tolist()
    held = []
    for span in spans:
        inside = [u for u in flagged if span.start <= offsets[u][0] and offsets[u][1] <= span.end]
        assert span.score == max(units.scores[u] for u in inside) >= threshold
        assert (span.start, span.end) == (offsets[inside[0]][0], max(offsets[u][1] for u in inside))
        held += inside
    assert set(held) == set(flagged)


@given(st.data(), hard_text, GRANULARITIES)
def test_a_higher_threshold_flags_a_subset(encoder, data, text, granularity):
    count = len(encoder.encode(text))
    units = units_of(
        encoder, text, granularity, data.draw(st.lists(st.floats(0, 1), min_size=count, max_size=count))
    )
    low, high = sorted(data.draw(st.lists(st.floats(0, 1), min_size=2, max_size=2)))
    more, fewer = (units.flagged(threshold, flag_unknown=False) for threshold in (low, high))
    assert (more | ~fewer).all()


@pytest.mark.parametrize(
    ("text", "granularity", "expected"),
    [
        ("我喜欢，好", "word", ["我喜欢", "，", "好"]),
        ("好apple好", "word", ["好", "apple", "好"]),
        ("bad dog", "word", ["bad", "dog"]),
        ("好 好", "word", ["好", "好"]),
        ("iphone15", "token", ["iphone15"]),
        ("iphone15", "char", ["iphone15"]),
        ("iphone15 pro", "char", ["iphone15", "pro"]),
        ("ﬁ", "token", ["ﬁ"]),
    ],
)
def test_touching_units_of_one_script_or_word_make_one_span(encoder, text, granularity, expected):
    spans = spans_of(text, units_of(encoder, text, granularity), 0.0)
    assert [text[span.start : span.end] for span in spans] == expected


def test_a_unit_between_parts_a_span(encoder):
    spans = spans_of("我喜欢", units_of(encoder, "我喜欢", "char", [0.9, 0.1, 0.8]), 0.5)
    assert [(span.start, span.end, span.score, span.tokens) for span in spans] == [
        (0, 1, 0.9, (0,)),
        (2, 3, 0.8, (2,)),
    ]


def test_ignored_means_all_of_a_range_and_protected_any_of_it():
    offsets = np.array([[0, 2], [2, 4], [4, 6]])
    marks = np.array([True, True, True, False, False, False])
    nothing = np.zeros(6, bool)
    assert exempt_ranges(offsets, marks, nothing).tolist() == [True, False, False]
    assert exempt_ranges(offsets, nothing, marks).tolist() == [True, True, False]
    assert exempt_ranges(np.zeros((0, 2), np.int64), marks, marks).tolist() == []


def test_the_document_score_is_the_mean_over_what_counts(encoder):
    text = "好龘坏。吃"
    encoded = encoder.encode(text)
    ignored = mark_classes(text, ["punctuation"])
    protected = np.array([False, False, False, False, True])
    probabilities = np.array([0.2, 0.9, 0.6, 0.9, 0.9])
    assert document_score(encoded, probabilities, ignored, protected) == pytest.approx(0.4)
    assert document_score(encoded, probabilities, np.ones(5, bool), protected) == 0.0
