"""Files of a run fit together, and dev is held out by text alone."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from training.errors import UserError
from training.finetune.config import CorruptionConfig, FinetuneConfig
from training.finetune.data import hold_out, read_data
from training.finetune.dry_run import reviews
from training.tables import ORIGINAL, REPLACED, Example


def _table(path: Path, rows: list[tuple[str, str]]) -> str:
    path.write_text("label\ttext\n" + "".join(f"{a}\t{b}\n" for a, b in rows), encoding="utf-8")
    return str(path)


def test_held_out_rows_depend_on_the_text_alone() -> None:
    rows = [Example(text, str(at), (label,)) for at, (label, text) in enumerate(reviews(400, seed=0))]
    train, dev = hold_out(rows, 0.1)
    assert 20 < len(dev) < 65
    assert len(train) + len(dev) == 400
    more = [*rows, *(replace(row, place="again") for row in rows)]
    again_train, again_dev = hold_out(list(reversed(more)), 0.1)
    assert {row.text for row in again_dev} == {row.text for row in dev}
    assert not {row.text for row in again_train} & {row.text for row in again_dev}


def test_train_is_capped_after_dev_is_held_out(tmp_path: Path) -> None:
    path = _table(tmp_path / "t.tsv", [(str(at % 2), f"第{at}句") for at in range(2000)])
    config = FinetuneConfig("c", (path,))
    whole, few = read_data(config), read_data(replace(config, max_train_rows=100))
    assert few.dev == whole.dev
    assert len(few.train) == 100
    assert {row.text for row in few.train} < {row.text for row in whole.train}


def test_every_label_stays_in_train(tmp_path: Path) -> None:
    rows = [("common", f"第{at}句") for at in range(300)] + [("other", f"另{at}句") for at in range(300)]
    rows += [(f"rare {at}", f"罕见{at}") for at in range(50)]
    config = FinetuneConfig("c", (_table(tmp_path / "t.tsv", rows),), dev_fraction=0.5)
    data = read_data(config)
    assert len(data.labels) == 52
    assert len(data.dev) > 200
    few = read_data(replace(config, max_train_rows=60))
    assert (len(few.train), len(few.labels)) == (60, 52)
    with pytest.raises(UserError, match="max_train_rows: 40 rows cannot hold the 52 labels of train"):
        read_data(replace(config, max_train_rows=40))


def test_pairs_and_single_texts_do_not_mix(tmp_path: Path) -> None:
    single = _table(tmp_path / "single.tsv", [("1", "a"), ("0", "b")])
    pairs = tmp_path / "pairs.tsv"
    pairs.write_text("label\ttext_a\ttext_b\n1\tc\td\n0\te\tf\n", encoding="utf-8")
    for config in (
        FinetuneConfig("c", (str(pairs),), (single,)),
        FinetuneConfig("c", (single,), (single,), (str(pairs),)),
    ):
        with pytest.raises(UserError, match=r"single\.tsv: no text_pair column, but .*pairs\.tsv has one"):
            read_data(config)


def test_too_few_rows_to_hold_out() -> None:
    with pytest.raises(
        UserError, match=r"t, line 2: 1 rows of 1 different texts are too few to hold out 0\.1"
    ):
        hold_out([Example("a", "t, line 2", ("x",))], 0.1)


def test_files_are_joined_renamed_and_reported(tmp_path: Path) -> None:
    one = _table(tmp_path / "one.tsv", [("1", "好"), ("0", "坏")])
    two = _table(tmp_path / "two.tsv", [("1", "good"), ("0", "bad"), ("1", "好")])
    config = FinetuneConfig("c", (one, two), (one,), label_names={"0": "neg"}, overlap="drop")
    data = read_data(config)
    assert data.labels == ["1", "neg"]
    assert [example.text for example in data.train] == ["good", "bad"]
    assert data.warnings[0].startswith("3 train rows also stand in dev")
    assert [entry["rows"] for entry in data.files["train"]] == [2, 3]
    assert len(read_data(replace(config, max_train_rows=4, overlap="warn", dev=(one, two))).train) == 4


def test_corruption_joins_the_labelled_rows(tmp_path: Path) -> None:
    clean = tmp_path / "clean.txt"
    clean.write_text("\n".join(text for _, text in reviews(80, seed=2)), encoding="utf-8")
    config = FinetuneConfig(
        "c", task="error_detection", corruption=CorruptionConfig(text=(str(clean),)), dev_fraction=0.3
    )
    data = read_data(config)
    assert data.labels == [ORIGINAL, REPLACED]
    assert data.files["corruption"][0]["rows"] == len(data.train) + len(data.dev) == 80
    copied = replace(config, corruption=CorruptionConfig(text=(str(clean),), copies=4))
    data = read_data(copied)
    assert len(data.train) + len(data.dev) == 320
    assert {row.clean for row in data.dev}.isdisjoint(row.clean for row in data.train)
    clear = replace(config, corruption=CorruptionConfig(text=(str(clean),), corrupted_share=0.0))
    with pytest.raises(UserError, match="no row of train has an error"):
        read_data(clear)


def test_unlabelled_text_has_a_bound_and_a_fixed_choice(tmp_path: Path) -> None:
    table = tmp_path / "t.tsv"
    table.write_text("label\ttext\na\t一\nb\t二\n", encoding="utf-8")
    lines = [f"第{number}行" for number in range(50)]
    chosen = []
    for order in (lines, lines[::-1]):
        (tmp_path / "more.txt").write_text("\n".join(order), encoding="utf-8")
        more = (str(tmp_path / "more.txt"),)
        config = FinetuneConfig(
            "c", (str(table),), (str(table),), teacher="tfidf", unlabelled=more, max_unlabelled_rows=7
        )
        chosen.append({example.text for example in read_data(config).unlabelled})
    assert len(chosen[0]) == 7
    assert chosen[0] == chosen[1] != set(lines[:7])


def test_unlabelled_text_is_no_pair(tmp_path: Path) -> None:
    pairs = tmp_path / "pairs.tsv"
    pairs.write_text("label\ttext_a\ttext_b\n1\ta\tb\n0\tc\td\n", encoding="utf-8")
    more = tmp_path / "more.txt"
    more.write_text("text\n", encoding="utf-8")
    config = FinetuneConfig("c", (str(pairs),), (str(pairs),), teacher="t", unlabelled=(str(more),))
    with pytest.raises(UserError, match=r"more\.txt, line 1: unlabelled text does not fit sentence pairs"):
        read_data(config)


def test_a_label_name_that_renames_nothing_is_refused(tmp_path: Path) -> None:
    rows = [(str(at % 2), f"第{at}句") for at in range(400)]
    path = _table(tmp_path / "t.tsv", rows)
    names = {"0": "negative", "I": "positive"}
    with pytest.raises(UserError, match=r"label_names: no row of .*t\.tsv has label 'I'; .* \(found: 0, 1\)"):
        read_data(FinetuneConfig("c", (path,), label_names=names))
    more = _table(tmp_path / "more.tsv", [("I", "另"), ("1", "别")])
    named = FinetuneConfig("c", (path, more), label_names={**names, "1": "positive"})
    assert read_data(named).labels == ["negative", "positive"]
