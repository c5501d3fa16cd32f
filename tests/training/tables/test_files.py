"""Every format gives the same rows, and every damaged file names its place and its cure."""

from __future__ import annotations

import csv
import gzip
import json
import lzma
import re
from pathlib import Path

import pytest

from training.errors import UserError
from training.tables.files import read_rows

ROWS = [{"label": "1", "text": '他说"好"，味道不错'}, {"label": "0", "text": "cold, late"}]


def _tsv() -> bytes:
    return ("label\ttext\n" + "".join(f"{r['label']}\t{r['text']}\n" for r in ROWS)).encode()


def _write(directory: Path, name: str) -> Path:
    import io

    import pyarrow as arrow
    import pyarrow.parquet as parquet
    from datasets import ClassLabel, Dataset, DatasetDict, Features, Value

    path = directory / name
    if name.endswith(".tsv"):
        path.write_bytes(_tsv())
    elif name.endswith(".tsv.xz"):
        path.write_bytes(lzma.compress(_tsv()))
    elif name.endswith(".tsv.gz"):
        path.write_bytes(gzip.compress(_tsv()))
    elif name.endswith(".csv"):
        buffer = io.StringIO(newline="")
        writer = csv.DictWriter(buffer, ["label", "text"])
        writer.writeheader()
        writer.writerows(ROWS)
        path.write_bytes(b"\xef\xbb\xbf" + buffer.getvalue().encode())
    elif name.endswith(".jsonl"):
        path.write_text("\n".join(json.dumps(row, ensure_ascii=False) for row in ROWS), encoding="utf-8")
    elif name.endswith(".parquet"):
        parquet.write_table(arrow.Table.from_pylist(ROWS), path)
    else:
        features = Features({"label": ClassLabel(names=["0", "1"]), "text": Value("string")})
        data = Dataset.from_list([{**row, "label": int(row["label"])} for row in ROWS], features=features)
        (DatasetDict({"train": data}) if name == "splits" else data).save_to_disk(str(path))
    return path


@pytest.mark.parametrize(
    "name", ["a.tsv", "a.tsv.xz", "a.tsv.gz", "a.csv", "a.jsonl", "a.parquet", "data_set", "splits"]
)
def test_every_format_gives_the_same_rows(tmp_path: Path, name: str) -> None:
    table = read_rows(_write(tmp_path, name))
    assert [{key: str(value) for key, value in row.cells.items()} for row in table.rows] == ROWS
    assert table.columns == ["label", "text"]
    assert len(table.digest) == 64


def test_windows_line_ends_are_no_part_of_a_cell(tmp_path: Path) -> None:
    path = tmp_path / "a.tsv"
    path.write_bytes(_tsv().replace(b"\n", b"\r\n"))
    assert [row.cells for row in read_rows(path).rows] == ROWS


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        (
            "a.tsv",
            "label\ttext\n1\t好\n0\tfine\textra\n".encode(),
            "a.tsv, line 3: 3 fields where the header has 2",
        ),
        (
            "a.tsv",
            "label\ttext\n1\t好\n0\t".encode() + b"\xb5\xe3\n",
            "a.tsv, line 3: byte 0xb5 is not UTF-8",
        ),
        ("a.tsv", b"label\ttext\n1\ta\0b\n", "a.tsv, line 2: holds a NUL character"),
        ("a.tsv", b"label\ttext\n", "a.tsv: holds no rows"),
        ("a.tsv", b"", "a.tsv: holds no rows"),
        ("a.tsv", b"text\ttext\na\tb\n", "a.tsv, line 1: column 'text' stands twice"),
        ("a.csv", b'label,text\n1,"open\n0,b\n', "a.csv, line 2: "),
        ("a.csv", b"label,text\n1,a\n1,a,b\n", "a.csv, line 3: 3 fields where the header has 2"),
        ("a.jsonl", b'{"text": "a"}\n{"text": \n', "a.jsonl, line 2: not JSON"),
        (
            "a.jsonl",
            b'{"text": "\\ud83d\\ude00"}\n{"text": "a", "labels": ["\\ud83d"]}\n',
            r"a.jsonl, line 2: column 'labels' holds \ud83d, half of a surrogate pair; write the",
        ),
        ("a.jsonl", b'{"text": "a"}\n[1]\n', "a.jsonl, line 2: a list, not an object"),
        ("a.parquet", b"PAR1 nothing", "a.parquet: not a readable Parquet file"),
        ("a.tsv", b"\nlabel\ttext\n1\ta\n", "a.tsv, line 1: is blank where the header should be"),
        ("a.tsv.xz", b"not xz", "a.tsv.xz: cannot be unpacked"),
        ("a.tsv.gz", b"not gz", "a.tsv.gz: cannot be unpacked"),
        ("a.xlsx", b"x", "a.xlsx: unknown format; use .tsv, .csv, .jsonl, .parquet"),
    ],
)
def test_a_damaged_file_is_named_with_the_line(
    tmp_path: Path, name: str, content: bytes, message: str
) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(UserError, match=re.escape(f"{tmp_path}/{message}")):
        read_rows(path)


def test_a_line_inside_quotes_does_not_shift_later_lines(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text('label,text\n1,"two\nlines"\n0,b,c\n', encoding="utf-8")
    with pytest.raises(UserError, match=r"line 4: 3 fields"):
        read_rows(path)


def test_a_cell_may_hold_a_long_document(tmp_path: Path) -> None:
    csv.field_size_limit(131_072)
    path = tmp_path / "a.csv"
    path.write_text("label,text\n1," + "长" * 200_000 + "\n", encoding="utf-8")
    assert len(read_rows(path).rows[0].cells["text"]) == 200_000


def test_missing_files_and_splits_are_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"nowhere\.tsv: no such file"):
        read_rows(tmp_path / "nowhere.tsv")
    with pytest.raises(UserError, match=r"no saved Hugging Face data set .*write it with save_to_disk"):
        read_rows(tmp_path)
    with pytest.raises(UserError, match="has no dev split; its splits are train"):
        read_rows(_write(tmp_path, "splits"), "dev")
