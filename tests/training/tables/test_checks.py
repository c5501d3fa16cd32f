"""Train, dev and test must fit together."""

from __future__ import annotations

from pathlib import Path

import pytest

from training.errors import UserError
from training.tables import Example, Table
from training.tables.checks import check_dev, check_labels, check_overlap, join_tables


def _rows(*rows: tuple[str, str], name: str = "t.tsv") -> list[Example]:
    return [Example(text, f"{name}, line {at}", (label,)) for at, (text, label) in enumerate(rows, 2)]


def test_labels_are_sorted_numbers_first() -> None:
    train = _rows(("a", "10"), ("b", "9"), ("c", "x"))
    assert check_labels(train, {}, "single_label") == ["9", "10", "x"]


def test_one_class_only_is_refused() -> None:
    with pytest.raises(UserError, match=r"t\.tsv, line 2: train has one class only \(1\)"):
        check_labels(_rows(("a", "1"), ("b", "1")), {}, "single_label")


def test_a_label_that_train_never_had_is_named_with_its_row() -> None:
    test = _rows(("c", "0"), ("d", "2"), ("e", "2"), name="test.tsv")
    with pytest.raises(
        UserError, match=r"test\.tsv, line 3: test has label '2', .* \(2 such\); train has 0, 1"
    ):
        check_labels(_rows(("a", "0"), ("b", "1")), {"test": test}, "single_label")


def test_no_label_at_all_is_refused() -> None:
    with pytest.raises(UserError, match="no label at all"):
        check_labels([Example("a", "t, line 2", ())], {}, "multi_label")
    with pytest.raises(UserError, match=r"one label only \(toxic\); take single_label"):
        check_labels([Example("a", "t, 2", ("toxic",)), Example("b", "t, 3", ())], {}, "multi_label")


def test_dev_that_stands_in_test_is_warned_of() -> None:
    dev, test = _rows(("好 吃", "1"), ("坏", "0")), _rows(("好  吃", "1"), name="test.tsv")
    (warning,) = check_dev(dev, test)
    assert warning.startswith("1 dev rows also stand in test (first: t.tsv, line 2 = test.tsv, line 2)")
    assert check_dev(dev, []) == check_dev(dev, _rows(("新", "1"))) == []


def test_labels_in_another_order_are_the_same_labels() -> None:
    rows = [Example("a", "t, line 2", ("x", "y")), Example("a", "t, line 3", ("y", "x"))]
    assert check_overlap(rows, {})[1] == []


def test_shared_rows_are_counted_and_left_out_on_request() -> None:
    train = _rows(("好 吃", "1"), ("坏", "0"), ("Ａ", "1"))
    test = _rows(("好  吃", "1"), ("A", "0"), ("新", "1"), name="test.tsv")
    kept, warnings = check_overlap(train, {"test": test})
    assert kept == train
    assert warnings[0].startswith("2 train rows also stand in test (first: t.tsv, line 2 = test.tsv, line 2)")
    kept, _ = check_overlap(train, {"test": test}, drop=True)
    assert [example.text for example in kept] == ["坏"]


def test_pairs_are_the_same_only_where_both_texts_are() -> None:
    train = [
        Example("好", f"t.tsv, line {at}", ("1",), pair) for at, pair in enumerate(("吃", "喝", "Ｂ"), 2)
    ]
    test = [Example("好", "test.tsv, line 2", ("0",), "喝"), Example("好", "test.tsv, line 3", ("1",), "B")]
    kept, warnings = check_overlap(train, {"test": test}, drop=True)
    assert [example.text_pair for example in kept] == ["吃"]
    assert warnings[0].startswith("2 train rows also stand in test")


def test_nothing_left_is_refused() -> None:
    rows = _rows(("a", "1"))
    with pytest.raises(UserError, match="every train row also stands in dev or test"):
        check_overlap(rows, {"dev": rows}, drop=True)


def test_contradicting_rows_are_counted() -> None:
    _, warnings = check_overlap(_rows(("a", "1"), ("a", "0"), ("b", "1"), ("b", "1")), {})
    assert warnings == [
        "1 train rows repeat a text with another label (first: t.tsv, line 2 and t.tsv, line 3)"
    ]


def test_labels_that_look_like_one_are_warned_of() -> None:
    train = _rows(("a", "Pos"), ("b", "neg"), ("c", "pos"), ("d", "ｎｅｇ"), ("e", "Pos"))
    _, (warning,) = check_overlap(train, {})
    assert warning == (
        "labels 'Pos' (t.tsv, line 2) and 'pos' (t.tsv, line 4) differ only by width, case or blanks "
        "(2 such): join them with label_names if they are one"
    )
    blanks = [Example(label, "t.tsv, line 2", (label, "x")) for label in ("a b", " a  b")]
    assert "labels ' a  b' (t.tsv, line 2) and 'a b'" in check_overlap(blanks, {})[1][0]
    assert check_overlap(_rows(("a", "1"), ("b", "-1"), ("c", "１１")), {})[1] == []


def test_joined_rows_name_their_file() -> None:
    tables = [Table(Path(name), [Example("a", "line 2", ("1",))], "") for name in ("x.tsv", "y.tsv")]
    assert [example.place for example in join_tables(tables)] == ["x.tsv, line 2", "y.tsv, line 2"]
