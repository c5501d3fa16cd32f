"""Tables in terms of the bundle's labels, and what is wrong with them."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.training.evaluate.conftest import WORDS, write_labelled
from training.errors import UserError
from training.evaluate.config import EvaluateConfig
from training.evaluate.labelled_set import name_and_split, read_test_set


def test_data_that_does_not_fit(model, config: EvaluateConfig, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(UserError, match="name a labelled table as test"):
        read_test_set(model, EvaluateConfig())
    bad = write_labelled(tmp_path / "bad.tsv", [("a", "x"), ("7", "y")])
    with pytest.raises(
        UserError, match=r"bad\.tsv, line 3: label '7' is none of abc's \(a, b, c\); name its new"
    ):
        read_test_set(model, EvaluateConfig(test=bad))
    named = EvaluateConfig(test=bad, label_names={"7": "c"})
    assert read_test_set(model, named).examples[1].label == "c"


def test_rows_shared_with_train_are_counted(model, config: EvaluateConfig, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    shared = EvaluateConfig(test=config.test, train=config.test_tables)
    (line,) = read_test_set(model, shared).warnings
    assert "8 train rows also stand in test" in line
    assert f"{config.test}, line 2" in line


def test_rows_shared_with_train_may_be_left_out_of_the_baselines(  # type: ignore[no-untyped-def]
    model, config: EvaluateConfig, tmp_path: Path
) -> None:
    more = write_labelled(tmp_path / "more.tsv", [("a", WORDS[0]), ("b", "别的")])
    own = EvaluateConfig(test=config.test, train=[*config.train, more], overlap="drop")
    test = read_test_set(model, own)
    assert [example.text for example in test.train if example.text in WORDS] == []
    assert "别的" in [example.text for example in test.train]
    (line,) = test.warnings
    assert "1 train rows also stand in test" in line
    assert "left out of train" in line


def test_tables_of_one_name_are_told_apart_and_none_counts_twice(  # type: ignore[no-untyped-def]
    model, config: EvaluateConfig, tmp_path: Path
) -> None:
    rows = [("a", WORDS[0])]
    paths = [write_labelled(tmp_path / of / "reviews" / "test.tsv", rows) for of in ("old", "new")]
    own = write_labelled(tmp_path / "mine.tsv", rows)
    test = read_test_set(model, EvaluateConfig(test=[*paths, own]))
    assert [table.name for table in test.tables] == ["old/reviews", "new/reviews", "mine"]
    again = str(tmp_path / "new" / ".." / "old" / "reviews" / "test.tsv")
    with pytest.raises(UserError, match=r"test: .*test\.tsv is named twice; its rows would count twice"):
        read_test_set(model, EvaluateConfig(test=[*paths, again]))


def test_pairs_and_single_texts_do_not_mix(model, config: EvaluateConfig, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    pairs = tmp_path / "pairs.tsv"
    pairs.write_text("label\ttext\ttext_pair\na\tx\ty\n", encoding="utf-8")
    with pytest.raises(UserError, match=r"test\.tsv: no text_pair column, but .*pairs\.tsv has one"):
        read_test_set(model, EvaluateConfig(test=[str(pairs), *config.test_tables]))


def test_names_of_data_sets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert name_and_split(Path("/data/cls/waimai/test.tsv.xz")) == ("waimai", "test")
    assert name_and_split(Path("mine.v2.tsv")) == ("mine", "all")
    (tmp_path / "waimai").mkdir()
    monkeypatch.chdir(tmp_path)
    assert name_and_split(Path("test.tsv")) == ("test", "test")
    assert name_and_split(Path("waimai/test.tsv")) == ("waimai", "test")


def test_a_test_table_may_lack_a_label_that_is_renamed_but_not_all(  # type: ignore[no-untyped-def]
    model, config: EvaluateConfig, tmp_path: Path
) -> None:
    test = write_labelled(tmp_path / "test.tsv", [("7", "x"), ("b", "y")])
    train = write_labelled(tmp_path / "train.tsv", [("7", "u"), ("b", "v")])
    names = {"7": "c", "8": "a"}
    assert read_test_set(model, EvaluateConfig(test=test, label_names=names)).examples[0].label == "c"
    with pytest.raises(UserError, match=r"label_names: no row of .*test\.tsv has label '8'"):
        read_test_set(model, EvaluateConfig(test=test, train=[train], label_names=names))
    with pytest.raises(UserError, match=r"label_names: .* label '8'; .* \(found: 7, b\)"):
        read_test_set(model, EvaluateConfig(test=test, label_names={"8": "a"}))
