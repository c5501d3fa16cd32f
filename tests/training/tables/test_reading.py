"""What a row must hold, task by task."""

from __future__ import annotations

import gzip
import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.errors import UserError
from training.tables import ORIGINAL, REPLACED, Columns, join_tokens, read_table


def _jsonl(directory: Path, *rows: dict[str, Any]) -> Path:
    path = directory / "rows.jsonl"
    path.write_text("\n".join(json.dumps(row, ensure_ascii=False) for row in rows), encoding="utf-8")
    return path


def test_columns_are_found_by_header_and_labels_renamed(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("Sentence,Class\n好,1\n坏,0\n", encoding="utf-8")
    table = read_table(path, label_names={"0": "negative", "1": "positive"})
    assert (table.texts, table.labels) == (["好", "坏"], ["positive", "negative"])
    assert table.examples[1].place == "line 3"
    assert table.pairs is None


def test_pairs_and_named_columns(tmp_path: Path) -> None:
    path = _jsonl(tmp_path, {"q": "一", "a": "二", "y": True})
    table = read_table(path, columns=Columns(text="q", text_pair="a", label="y"))
    assert (table.texts, table.pairs, table.labels) == (["一"], ["二"], ["true"])


def test_a_second_text_that_is_not_read_is_warned_of(tmp_path: Path) -> None:
    path = _jsonl(tmp_path, {"question": "什么？", "sentence": "苹果。", "label": 1})
    (warning,) = read_table(path).warnings
    assert "column 'question' is not read; name it in columns.text_pair" in warning
    assert read_table(path, columns=Columns(text="sentence")).warnings == []
    assert read_table(path, columns=Columns(text="question", text_pair="sentence")).warnings == []


def test_several_labels_from_lists_and_from_cells(tmp_path: Path) -> None:
    path = tmp_path / "a.tsv"
    path.write_text("text\tlabels\n一\tx | y|x\n二\t\n", encoding="utf-8")
    assert [e.labels for e in read_table(path, "multi_label").examples] == [("x", "y"), ()]
    path = _jsonl(tmp_path, {"text": "a", "labels": ["x"]}, {"text": "b", "labels": []})
    assert [e.labels for e in read_table(path, "multi_label").examples] == [("x",), ()]


def test_token_labels_carry_their_spans(tmp_path: Path) -> None:
    path = _jsonl(tmp_path, {"tokens": ["我", "爱", "New", "York"], "ner_tags": ["O", "O", "B-L", "I-L"]})
    example = read_table(path, "token_labels").examples[0]
    assert example.text == "我爱New York"
    assert [example.text[start:end] for start, end in example.units] == ["我", "爱", "New", "York"]


def test_tokens_are_sought_in_a_given_text(tmp_path: Path) -> None:
    path = _jsonl(tmp_path, {"text": "New  York!", "tokens": ["New", "York"], "labels": ["B", "I"]})
    assert read_table(path, "token_labels").examples[0].units == ((0, 3), (5, 9))


@pytest.mark.parametrize(
    "row",
    [
        {"text": "他的书本错吴", "errors": [5]},
        {"tokens": ["他", "的", "书", "本", "错", "吴"], "errors": [5]},
        {"tokens": ["他", "的", "书", "本", "错", "吴"], "labels": [0, 0, 0, 0, 0, 1]},
        {"tokens": ["他", "的", "书", "本", "错", "吴"], "labels": list("ccccci")},
    ],
)
def test_errors_by_place_or_by_flag(tmp_path: Path, row: dict[str, Any]) -> None:
    example = read_table(_jsonl(tmp_path, row), "error_detection").examples[0]
    assert example.labels == (ORIGINAL,) * 5 + (REPLACED,)


@pytest.mark.parametrize(
    ("task", "row", "message"),
    [
        ("single_label", {"text": "a"}, "rows.jsonl: no label column among text; name it in columns.label"),
        ("single_label", {"x": "a", "label": 1}, "rows.jsonl: no text column among x, label"),
        ("single_label", {"text": "a", "label": None}, "line 1: no label in column 'label'"),
        ("single_label", {"text": "a", "label": float("nan")}, "line 1: no label in column 'label'"),
        ("single_label", {"text": float("nan"), "label": 1}, "line 1: empty text (1 such)"),
        ("single_label", {"text": "a", "label": [1]}, "line 1: column 'label' holds a list; for several"),
        ("single_label", {"text": 7, "label": 1}, "line 1: column 'text' holds a int, not a text"),
        ("single_label", {"text": "　", "label": 1}, "line 1: empty text (1 such)"),
        ("single_label", {"text": "\u200b\u200d ", "label": 1}, "line 1: empty text (1 such)"),
        ("multi_label", {"text": "a", "labels": 3}, "line 1: column 'labels' holds a int, not a list"),
        ("multi_label", {"text": "a", "labels": float("nan")}, "line 1: nothing in column 'labels'; give"),
        ("multi_label", {"text": "a", "labels": ["x", None]}, "line 1: column 'labels' has a gap in its"),
        ("token_labels", {"tokens": ["a", float("nan")], "labels": ["O", "O"]}, "column 'tokens' has a gap"),
        ("multi_label", {"text": "a", "labels": "['a', 'b']"}, "a list written as text; write a|b"),
        ("multi_label", {"text": "a", "labels": "[]"}, "a list written as text"),
        ("token_labels", {"tokens": "['We' 'saw']", "labels": "O O"}, "write the parts with spaces between"),
        ("token_labels", {"tokens": ["a"], "labels": ["O", "O"]}, "line 1: 1 tokens but 2 labels"),
        ("token_labels", {"text": "ab", "tokens": ["b", "a"], "labels": ["O", "O"]}, "'a' does not follow"),
        ("error_detection", {"text": "ab"}, "rows.jsonl: no errors column among text"),
        ("error_detection", {"text": "ab", "errors": [2]}, "line 1: error at place 2, but the last of 2"),
        ("error_detection", {"text": "ab", "errors": ["x"]}, "column 'errors' must hold places"),
        ("error_detection", {"tokens": ["a"], "labels": ["B"]}, "line 1: label 'B'; error detection takes"),
    ],
)
def test_a_bad_row_is_named(tmp_path: Path, task: Any, row: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=re.escape(message)):
        read_table(_jsonl(tmp_path, row), task)


def test_minus_one_is_a_label_in_every_file(tmp_path: Path) -> None:
    path = tmp_path / "a.tsv"
    path.write_text("text\tlabel\na\t-1\nb\t1\n", encoding="utf-8")
    rows = _jsonl(tmp_path, {"text": "a", "label": -1}, {"text": "b", "label": 1})
    assert read_table(path).labels == read_table(rows).labels == ["-1", "1"]


def test_one_value_is_one_label_however_it_is_written(tmp_path: Path) -> None:
    values = [1, "1", 1.0, True, "true", 1.5]
    rows = _jsonl(tmp_path, *({"text": "a", "label": value} for value in values))
    assert read_table(rows).labels == ["1", "1", "1", "true", "true", "1.5"]
    rows = _jsonl(tmp_path, {"text": "a", "labels": values})
    assert read_table(rows, "multi_label").examples[0].labels == ("1", "true", "1.5")
    rows = _jsonl(tmp_path, {"text": "ab", "errors": [1.0]}, {"text": "ab", "errors": float("nan")})
    marks = [example.labels for example in read_table(rows, "error_detection").examples]
    assert marks == [(ORIGINAL, REPLACED), (ORIGINAL, ORIGINAL)]


def test_whole_numbers_that_pandas_made_fractions_are_whole_again(tmp_path: Path) -> None:
    import pyarrow as arrow
    import pyarrow.parquet as parquet

    table = arrow.table({"text": ["a", "b"], "label": arrow.array([1.0, 0.0])})
    parquet.write_table(table, tmp_path / "a.parquet")
    assert read_table(tmp_path / "a.parquet").labels == ["1", "0"]
    table = arrow.table({"text": ["a", "b"], "label": arrow.array([1.0, float("nan")])})
    parquet.write_table(table, tmp_path / "a.parquet")
    with pytest.raises(UserError, match="row 2: no label in column 'label'"):
        read_table(tmp_path / "a.parquet")


@pytest.mark.parametrize("name", ["a.tsv", "A.TSV.gz", "a.csv"])
def test_cells_quoted_as_in_a_csv_are_warned_of(tmp_path: Path, name: str) -> None:
    between = "," if name == "a.csv" else "\t"
    cells = ['plain "" text', '"whole"', '"他说""好""吧"', '"a"" b" c"', '"""all"""']
    text = "\n".join(between.join(row) for row in [("label", "text"), *(("1", cell) for cell in cells)])
    if name == "a.csv":
        text = text.replace('"a"" b" c"', "x")
    packed = gzip.compress if name.endswith(".gz") else bytes
    (tmp_path / name).write_bytes(packed(text.encode()))
    table = read_table(tmp_path / name)
    if name == "a.csv":
        assert (table.texts[2], table.warnings) == ('他说"好"吧', [])
        return
    (warning,) = table.warnings
    assert table.texts == cells
    assert warning.startswith(f"{tmp_path / name}: 2 rows hold a text in quotation marks")
    assert "(first at line 4); .tsv is read without quoting" in warning
    assert warning.endswith("save the table as .csv")


def test_an_unlabelled_row_of_a_data_set_is_named(tmp_path: Path) -> None:
    from datasets import ClassLabel, Dataset, Features, Value

    features = Features({"label": ClassLabel(names=["no", "yes"]), "text": Value("string")})
    data = Dataset.from_list([{"text": "a", "label": 1}, {"text": "b", "label": -1}], features=features)
    data.save_to_disk(str(tmp_path / "data"))
    with pytest.raises(UserError, match="row 2: no label in column 'label'"):
        read_table(tmp_path / "data")


def test_a_misspelt_column_gets_a_suggestion(tmp_path: Path) -> None:
    path = _jsonl(tmp_path, {"review_text": "a", "label": 1})
    with pytest.raises(
        UserError, match=r"no column 'reveiw_text' \(columns\.text\); did you mean 'review_text'"
    ):
        read_table(path, columns=Columns(text="reveiw_text"))


def test_empty_texts_can_be_left_out_and_old_damage_is_warned_of(tmp_path: Path) -> None:
    path = _jsonl(tmp_path, {"text": "", "label": 1}, {"text": "a\ufffd", "label": 0})
    table = read_table(path, drop_empty=True)
    assert len(table.examples) == 1
    assert "left out 1 rows with an empty text (first at line 1)" in table.warnings[0]
    assert "1 texts hold U+FFFD" in table.warnings[1]
    with pytest.raises(UserError, match="every row has an empty text"):
        read_table(_jsonl(tmp_path, {"text": " ", "label": 1}), drop_empty=True)


@given(st.lists(st.text(alphabet="我爱abc1，", min_size=1, max_size=4), max_size=8))
def test_joined_tokens_are_found_at_their_spans(tokens: list[str]) -> None:
    text, spans = join_tokens(tokens)
    assert [text[start:end] for start, end in spans] == tokens
    assert text.replace(" ", "") == "".join(tokens)


@pytest.mark.parametrize(
    ("name", "text", "cure"),
    [
        ("a.tsv", "1\t好\n0\t坏\n", "columns.text, or add a header line such as label<TAB>text"),
        ("a.csv", "1,好\n0,坏\n", "columns.text, or add a header line such as label,text"),
        ("a.csv", "label;text\n0;坏\n", "columns.text, or write the file with commas"),
    ],
)
def test_a_table_without_a_header_is_told_to_add_one(tmp_path: Path, name: str, text: str, cure: str) -> None:
    (tmp_path / name).write_text(text, encoding="utf-8")
    with pytest.raises(UserError, match=re.escape(cure)):
        read_table(tmp_path / name)
