from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as arrow
import pyarrow.parquet as parquet
import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.corpus.config import CorpusConfig, SourceConfig
from training.corpus.readers import SourceReader
from training.errors import UserError


def read(path: Path, max_characters: int = 1000, malformed_rows: Any = "error", **source: Any) -> list[str]:
    config = CorpusConfig(max_characters=max_characters, malformed_rows=malformed_rows)
    return list(SourceReader(SourceConfig(path=str(path), **source), config))


def test_three_document_modes(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("one\ntwo\n\n\nthree\n \nfour", encoding="utf-8")
    assert read(path) == ["one\ntwo\n", "three\n", "four"]
    assert read(path, documents="line") == ["one\n", "two\n", "three\n", "four"]
    assert read(path, documents="file") == ["one\ntwo\n\n\nthree\n \nfour"]


@given(
    st.lists(st.text("甲乙 ab", max_size=120), max_size=12),
    st.sampled_from(["blank", "line", "file"]),
    st.integers(17, 60),
)
def test_long_documents_are_cut_and_nothing_is_lost(
    tmp_path_factory: pytest.TempPathFactory, lines: list[str], mode: Any, limit: int
) -> None:
    path = tmp_path_factory.mktemp("cut") / "a.txt"
    path.write_text("start\n" + "\n".join(lines), encoding="utf-8")
    pieces = read(path, limit, documents=mode)
    assert all(len(piece) <= limit for piece in pieces)
    assert "".join("".join(pieces).split()) == "".join(("start" + "".join(lines)).split())


def test_a_line_far_longer_than_a_document_is_cut(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("很" * 1_000_000, encoding="utf-8")
    pieces = read(path, 1000, documents="file")
    assert len(pieces) >= 1000
    assert sum(map(len, pieces)) == 1_000_000


def test_json_lines(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    rows = [{"id": 1, "content": "一"}, {"content": "two\nlines", "id": 2}]
    path.write_text("\n".join(json.dumps(row) for row in rows) + "\n\n")
    assert read(path) == ["一", "two\nlines"]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{"text": "cut', r"a\.jsonl:2: not JSON"),
        ("[1]", r"a\.jsonl:2: a JSON object is expected, found list"),
        ('{"title": "x"}', r"a\.jsonl:2: 'text' is missing or not text; this row has title"),
        ('{"text": null}', r"a\.jsonl:2: 'text' is missing"),
    ],
)
def test_a_malformed_json_row_is_named_or_skipped(tmp_path: Path, line: str, message: str) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('{"text": "good"}\n' + line + '\n{"text": "also"}\n')
    with pytest.raises(UserError, match=message):
        read(path)
    reader = SourceReader(SourceConfig(path=str(path)), CorpusConfig(malformed_rows="skip"))
    assert list(reader) == ["good", "also"]
    assert reader.issues.malformed_rows == 1


def test_tables(tmp_path: Path) -> None:
    tsv, csv = tmp_path / "a.tsv", tmp_path / "a.csv"
    tsv.write_text('label\ttext_a\ttext_b\n0\the said "yes\tno\n', encoding="utf-8")
    csv.write_text('label,text\n0,"one, ""two""\nthree"\n1,four\n', encoding="utf-8")
    assert read(tsv, columns=("text_a", "text_b")) == ['he said "yes\nno']
    assert read(csv) == ['one, "two"\nthree', "four"]


def test_table_mistakes(tmp_path: Path) -> None:
    tsv = tmp_path / "a.tsv"
    tsv.write_text("label\tsay\n0\tfine\n1\ttoo\tmany\n")
    with pytest.raises(UserError, match=r"a\.tsv:1: no column 'txt'; there are: label, say"):
        read(tsv, columns=("txt",))
    with pytest.raises(UserError, match=r"a\.tsv:1: which column is text\?.*label, say"):
        read(tsv)
    with pytest.raises(UserError, match=r"a\.tsv:3: 3 fields, but the header has 2"):
        read(tsv, columns=("say",))
    assert read(tsv, columns=("say",), malformed_rows="skip") == ["fine"]
    csv = tmp_path / "b.csv"
    csv.write_text('text\nfine\n"never closed\n')
    with pytest.raises(UserError, match=r"b\.csv:\d: not CSV"):
        read(csv)


def test_parquet(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    parquet.write_table(arrow.table({"id": [1, 2, 3], "content": ["一", "two", None]}), path)
    with pytest.raises(UserError, match=r"a\.parquet: row 3: 'content' is missing"):
        read(path)
    assert read(path, malformed_rows="skip") == ["一", "two"]
    with pytest.raises(UserError, match=r"no column 'text'; there are: id, content"):
        read(path, columns=("text",))
    path.write_bytes(b"PAR1 but no more")
    with pytest.raises(UserError, match=r"a\.parquet: cannot be read as Parquet"):
        read(path)


def test_position_reaches_the_size_of_all_files(tmp_path: Path) -> None:
    for name in ("a.txt", "b.txt"):
        (tmp_path / name).write_text("some text\n" * 50)
    reader = SourceReader(SourceConfig(path=str(tmp_path)), CorpusConfig())
    assert sum(1 for _ in reader) == 100
    assert reader.position.bytes == reader.total_bytes == 1000
    assert reader.modes == {"line": 2}


def test_state_changes_with_the_files(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("one")
    source, config = SourceConfig(path=str(tmp_path)), CorpusConfig()
    before = SourceReader(source, config).state
    assert before == SourceReader(source, config).state
    path.write_text("three")
    assert SourceReader(source, config).state != before
