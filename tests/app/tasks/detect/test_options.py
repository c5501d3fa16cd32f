import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.bundle_files import read_bundle
from app.errors import ValidationFailed
from app.tasks.detect import DetectOptions
from app.tasks.detect.options import check_options, protected_ranges
from app.tasks.model import served_model
from tests.toy import toy_bundle


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return served_model(read_bundle(toy_bundle(tmp_path_factory.mktemp("models"), "encoder")), engine=None)


@pytest.mark.parametrize(
    ("threshold", "number"),
    [("balanced", 0.5), ("precise", 0.9), ("sensitive", 0.2), (0, 0.0), (1, 1.0), (0.3, 0.3)],
)
def test_a_threshold_is_a_number_or_one_the_bundle_was_calibrated_for(model, threshold, number):
    assert check_options(model, ["好"], DetectOptions(threshold=threshold)) == number


@pytest.mark.parametrize(
    ("options", "field", "message"),
    [
        (DetectOptions(threshold=1.5), "threshold", "between 0 and 1"),
        (DetectOptions(threshold=float("nan")), "threshold", "between 0 and 1"),
        (DetectOptions(threshold="recall"), "threshold", "one of: balanced, precise, sensitive"),
        (DetectOptions(suggestions=11), "suggestions", "0 to 10"),
        (DetectOptions(suggestions=-1), "suggestions", "0 to 10"),
        (DetectOptions(ignore=("names",)), "ignore", "choose from digits, latin, punctuation, url, emoji"),
        (DetectOptions(protected=("好", "")), "protected.1", "is empty"),
        (DetectOptions(protected=("好",) * 1001), "protected", "holds 1001 parts; send at most 1000"),
        (DetectOptions(protected=((0, 3),)), "protected.0", "no range within 0 to 2"),
        (DetectOptions(protected=((1, 1),)), "protected.0", "no range"),
        (DetectOptions(protected=((-1, 1),)), "protected.0", "no range"),
        (DetectOptions(protected=((1, 2),), offset_unit="utf16"), "protected.0", "2 falls between"),
    ],
)
def test_an_option_out_of_range_is_named(model, options, field, message):
    with pytest.raises(ValidationFailed, match=message) as caught:
        check_options(model, ["好🍎"], options)
    assert caught.value.problems[0].field == field


def test_a_range_needs_a_single_input(model):
    check_options(model, ["好", "好"], DetectOptions(protected=("好",)))
    with pytest.raises(ValidationFailed, match=r"protected\.0: a range fits one input, not 2"):
        check_options(model, ["好", "好"], DetectOptions(protected=((0, 1),)))


def test_suggestions_need_a_generator(tmp_path):
    bundle = read_bundle(toy_bundle(tmp_path, "encoder"))
    del bundle.manifest.graphs["generator"]
    model = served_model(bundle, engine=None)
    check_options(model, ["好"], DetectOptions())
    with pytest.raises(ValidationFailed, match="suggestions: encoder ships no generator") as caught:
        check_options(model, ["好"], DetectOptions(suggestions=1))
    assert caught.value.problems[0].code == "no_generator"


def test_a_classifier_cannot_detect(tmp_path):
    model = served_model(read_bundle(toy_bundle(tmp_path, "topics", task="classify")), engine=None)
    with pytest.raises(ValidationFailed, match="topics has no replaced-token head"):
        check_options(model, ["好"], DetectOptions())


def test_a_protected_string_counts_wherever_it_occurs():
    assert list(protected_ranges("苹果和苹果", DetectOptions(protected=("苹果", "梨")))) == [(0, 2), (3, 5)]
    assert list(protected_ranges("aaa", DetectOptions(protected=("aa", "aa")))) == [(0, 3)]


@given(st.text("ab哈", max_size=24), st.text("ab哈", min_size=1, max_size=6))
def test_overlapping_occurrences_are_protected_too(text, wanted):
    covered = {
        at
        for start, end in protected_ranges(text, DetectOptions(protected=(wanted,)))
        for at in range(start, end)
    }
    starts = [at for at in range(len(text)) if text.startswith(wanted, at)]
    assert covered == {place for at in starts for place in range(at, at + len(wanted))}


def test_protecting_takes_linear_time():
    rows = [("ab" * 100_000, "ab" * 20_000), ("a" * 200_000, "a" * 90_000 + "b"), ("a", "b" * 5_000_000)]
    for text, wanted in (*rows, ("ba" + "a" * 50_000, "ba" + "a" * 50_000)):
        began = time.perf_counter()
        list(protected_ranges(text, DetectOptions(protected=(wanted,))))
        assert time.perf_counter() - began < 1.0


def test_a_protected_range_is_read_in_the_unit_of_the_request():
    assert list(protected_ranges("🍎好", DetectOptions(protected=((1, 2),)))) == [(1, 2)]
    assert list(protected_ranges("🍎好", DetectOptions(protected=((2, 3),), offset_unit="utf16"))) == [(1, 2)]
