"""Every format gives the same rows, and every damaged file names its place and its cure."""

from __future__ import annotations

import csv
import gzip
import json
import lzma
import re
import subprocess
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
        (
            "a.tsv",
            "label\ttext\n1\t好\n0\n".encode(),
            "a.tsv, line 3: 1 fields where the header has 2; a missing tab, or a line break inside a text?",
        ),
        (  # A line break in the last column: the line that is too short is the one after.
            "a.tsv",
            'label\ttext\n1\t"他说""好""，\n\n第二行"\n'.encode(),
            "a.tsv, line 4: 1 fields where the header has 2; a line break in a quoted cell? .tsv is read "
            "without quoting: save the table as .csv",
        ),
        (
            "a.tsv",
            b'text\tlabel\n"two\nlines"\t1\n',
            "a.tsv, line 2: 1 fields where the header has 2; a line break in a quoted cell?",
        ),
        (
            "a.tsv",
            b'label\ttext\n1\t"whole" and 5" more\n0\t"whole"\n1\n',
            "a.tsv, line 4: 1 fields where the header has 2; a missing tab",
        ),
        ("a.csv", b"label,text\n1\n", "a.csv, line 2: 1 fields where the header has 2; a missing comma?"),
        (
            "a.csv",
            "label,text,,\n1,a,,\n0,b,,见下\n".encode(),
            "a.csv, line 3: column 4 holds '见下' but has no name in the header; name it, or empty it",
        ),
        ("a.csv", b",,\nlabel,,label\n1,,1\n", "a.csv, line 2: column 'label' stands twice in the header"),
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


@pytest.mark.parametrize("mark", ["utf-16-le", "utf-16-be"])
def test_utf_16_is_named_with_a_cure_that_works(tmp_path: Path, mark: str) -> None:
    path = tmp_path / "my table.tsv"
    path.write_bytes(("\ufeff" + _tsv().decode()).encode(mark))
    assert _converted(path, "is UTF-16; convert it with iconv -f UTF-16 -t UTF-8") == ROWS


@pytest.mark.parametrize("name", ["a.tsv", "a.tsv.xz", "a.tsv.gz"])
def test_another_encoding_is_named_with_a_cure_that_works(tmp_path: Path, name: str) -> None:
    pack = {".xz": lzma.compress, ".gz": gzip.compress}.get(Path(name).suffix, bytes)
    (tmp_path / name).write_bytes(pack(_tsv().decode().encode("gb18030")))
    assert _converted(tmp_path / name, r"line 2: byte 0x\w\w is not UTF-8; convert the file") == ROWS


def _converted(path: Path, message: str) -> list[dict[str, str]]:
    """The rows after the command that the refusal of ``path`` gives."""
    with pytest.raises(UserError, match=message) as refusal:
        read_rows(path)
    command = re.search(r"with (.*)", str(refusal.value))
    assert command is not None
    subprocess.run(command[1], shell=True, check=True, cwd=path.parent)
    (converted,) = path.parent.glob("utf8-*.tsv")
    return [row.cells for row in read_rows(converted).rows]


@pytest.mark.parametrize("name", ["a.csv", "a.tsv"])
def test_empty_columns_and_rows_of_a_spreadsheet_are_passed_over(tmp_path: Path, name: str) -> None:
    text = "label,,text,,\n1,,一,,\n,,,,\n0,,二,,\n,,,\n"
    (tmp_path / name).write_text(text if name == "a.csv" else text.replace(",", "\t"), encoding="utf-8")
    table = read_rows(tmp_path / name)
    assert table.columns == ["label", "text"]
    assert [(row.place, row.cells) for row in table.rows] == [
        ("line 2", {"label": "1", "text": "一"}),
        ("line 4", {"label": "0", "text": "二"}),
    ]


def test_the_numbers_of_rows_that_pandas_writes_are_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text(",label,text\n0,1,a\n1,0,b\n", encoding="utf-8")
    assert [row.cells for row in read_rows(path).rows] == [
        {"label": "1", "text": "a"},
        {"label": "0", "text": "b"},
    ]


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
