"""Rows of a table file: TSV, CSV, JSON lines, Parquet (also .xz, .gz), or a Hugging Face data set.

Nothing here knows what a column means; ``training.tables.columns`` does. Every error names file and line or
row.
"""

from __future__ import annotations

import csv
import gzip
import hashlib
import io
import json
import lzma
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from training.errors import UserError

FORMATS = (".tsv", ".csv", ".jsonl", ".parquet")
# Names under which a saved DatasetDict keeps a split, by what we call it.
SPLIT_NAMES = {"train": ("train",), "dev": ("validation", "dev", "valid"), "test": ("test",)}


@dataclass(frozen=True, slots=True)
class Row:
    """One row: its place in the file (``line 7`` or ``row 7``) and its cells by column name."""

    place: str
    cells: dict[str, Any]


@dataclass(frozen=True)
class RawTable:
    """A table as it stands in the file. ``digest``: SHA-256 of the file (of every file, for a data set)."""

    path: Path
    columns: list[str]
    rows: list[Row]
    digest: str


def read_rows(path: Path, split: str = "train") -> RawTable:
    """Read every row of ``path``. ``split`` picks the part of a saved ``DatasetDict`` (train, dev or test).

    Raises:
        UserError: no such file, unknown format, broken compression or encoding, a row that does not fit.
    """
    if not path.exists():
        raise UserError(f"{path}: no such file; check the path")
    if path.is_dir():
        return _read_data_set(path, split)
    suffixes = [suffix.lower() for suffix in path.suffixes]
    packed = suffixes[-1] if suffixes and suffixes[-1] in (".xz", ".gz") else ""
    kind = (suffixes[:-1] if packed else suffixes)[-1:] or [""]
    if kind[0] not in FORMATS:
        raise UserError(
            f"{path}: unknown format; use {', '.join(FORMATS)}, the same with .xz or .gz, "
            "or a saved Hugging Face data set"
        )
    raw = path.read_bytes()
    data = _unpack(path, raw, packed)
    if kind[0] == ".parquet":
        columns, rows = _parquet_rows(path, data)
    else:
        text = _decode(path, data)
        reader = {".tsv": _tsv_rows, ".csv": _csv_rows, ".jsonl": _jsonl_rows}[kind[0]]
        columns, rows = reader(path, text)
    if not rows:
        raise UserError(f"{path}: holds no rows; give a file with a header and at least one example")
    return RawTable(path, columns, rows, hashlib.sha256(raw).hexdigest())


def _unpack(path: Path, raw: bytes, packed: str) -> bytes:
    try:
        if packed == ".xz":
            return lzma.decompress(raw)
        if packed == ".gz":
            return gzip.decompress(raw)
    except (lzma.LZMAError, gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise UserError(f"{path}: cannot be unpacked ({error}); copy the file again") from None
    return raw


def _decode(path: Path, data: bytes) -> str:
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise UserError(
            f"{path}, line {line}: byte 0x{data[error.start]:02x} is not UTF-8; "
            "convert the file, for instance with iconv -f GB18030 -t UTF-8"
        ) from None
    position = text.find("\0")
    if position >= 0:
        line = text.count("\n", 0, position) + 1
        raise UserError(f"{path}, line {line}: holds a NUL character; the file is damaged or is not text")
    return text


def _tsv_rows(path: Path, text: str) -> tuple[list[str], list[Row]]:
    """Tab-separated without quoting: a quotation mark is an ordinary character, as in public TSV sets."""
    lines = [line.rstrip("\r") for line in text.split("\n")]
    if text.strip() and not lines[0].strip():
        raise UserError(f"{path}, line 1: is blank where the header should be; remove the line")
    header = lines[0].split("\t")
    _check_header(path, header)
    rows = []
    for number, line in enumerate(lines[1:], 2):
        if line:
            rows.append(_fitted(path, f"line {number}", header, line.split("\t"), "a tab inside a text?"))
    return header, rows


def _csv_rows(path: Path, text: str) -> tuple[list[str], list[Row]]:
    csv.field_size_limit(max(len(text), csv.field_size_limit()))  # whole documents stand in cells
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    rows: list[Row] = []
    header: list[str] = []
    line = 1
    try:
        for cells in reader:
            if not header:
                _check_header(path, cells)
                header = cells
            elif cells:
                rows.append(_fitted(path, f"line {line}", header, cells, "a comma outside quotes?"))
            line = reader.line_num + 1
    except csv.Error as error:
        raise UserError(f"{path}, line {line}: {error}; mend the quotation marks") from None
    return header, rows


def _check_header(path: Path, header: list[str]) -> None:
    repeated = sorted({name for name in header if header.count(name) > 1})
    if repeated:
        raise UserError(f"{path}, line 1: column {repeated[0]!r} stands twice in the header; rename one")


def _fitted(path: Path, place: str, header: list[str], cells: list[str], hint: str) -> Row:
    if len(cells) != len(header):
        raise UserError(f"{path}, {place}: {len(cells)} fields where the header has {len(header)}; {hint}")
    return Row(place, dict(zip(header, cells, strict=True)))


def _jsonl_rows(path: Path, text: str) -> tuple[list[str], list[Row]]:
    columns: dict[str, None] = {}
    rows = []
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            cells = json.loads(line)
        except json.JSONDecodeError as error:
            raise UserError(
                f"{path}, line {number}: not JSON ({error.msg}); write one object per line"
            ) from None
        if not isinstance(cells, dict):
            raise UserError(
                f"{path}, line {number}: a {type(cells).__name__}, not an object; write one object per line"
            )
        _refuse_half_characters(path, number, line, cells)
        columns.update(dict.fromkeys(cells))
        rows.append(Row(f"line {number}", cells))
    return list(columns), rows


def _refuse_half_characters(path: Path, number: int, line: str, cells: dict[str, Any]) -> None:
    r"""JSON may hold ``\ud83d`` without its other half: no character, and nothing can encode it."""
    if "\\u" not in line:
        return
    for column, cell in cells.items():
        try:
            json.dumps([column, cell], ensure_ascii=False).encode()
        except UnicodeEncodeError as error:
            half = f"{error.object[error.start]!a}"[1:-1]
            raise UserError(
                f"{path}, line {number}: column {column!r} holds {half}, half of a surrogate pair; write the "
                "character whole, or remove it"
            ) from None


def _parquet_rows(path: Path, data: bytes) -> tuple[list[str], list[Row]]:
    import pyarrow as arrow
    import pyarrow.parquet as parquet

    try:
        table = parquet.read_table(io.BytesIO(data))
    except (arrow.ArrowException, OSError) as error:
        raise UserError(f"{path}: not a readable Parquet file ({error}); write it again") from None
    rows = [Row(f"row {number}", cells) for number, cells in enumerate(table.to_pylist(), 1)]
    return list(table.column_names), rows


def _read_data_set(path: Path, split: str) -> RawTable:
    from datasets import DatasetDict, load_from_disk

    try:
        data = load_from_disk(str(path))
    except (FileNotFoundError, ValueError, OSError) as error:
        raise UserError(
            f"{path}: no saved Hugging Face data set ({error}); write it with save_to_disk"
        ) from None
    if isinstance(data, DatasetDict):
        names = [name for name in SPLIT_NAMES.get(split, (split,)) if name in data]
        if not names:
            raise UserError(f"{path}: has no {split} split; its splits are {', '.join(map(str, data))}")
        data = data[names[0]]
    if not len(data):
        raise UserError(f"{path}: holds no rows; save a data set with at least one example")
    return RawTable(path, list(data.column_names), list(_data_set_rows(data)), _directory_digest(path))


def _data_set_rows(data: Any) -> Iterator[Row]:
    """Rows of a ``datasets.Dataset`` with class numbers turned into class names."""
    named = {name: feature for name, feature in data.features.items() if _class_names(feature)}
    for number, cells in enumerate(data, 1):
        for name, feature in named.items():
            names = _class_names(feature)
            value = cells[name]
            if isinstance(value, list):
                cells[name] = [names[item] for item in value]
            elif value is not None:  # the hub marks an unlabelled row with -1
                cells[name] = names[value] if value >= 0 else None
        yield Row(f"row {number}", cells)


def _class_names(feature: Any) -> list[str]:
    inner = getattr(feature, "feature", feature)
    return list(getattr(inner, "names", None) or [])


def _directory_digest(path: Path) -> str:
    digest = hashlib.sha256()
    for file in sorted(file for file in path.rglob("*") if file.is_file()):
        digest.update(str(file.relative_to(path)).encode())
        digest.update(file.read_bytes())
    return digest.hexdigest()
