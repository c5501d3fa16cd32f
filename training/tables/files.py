"""Rows of a table file: TSV, CSV, JSON lines, Parquet (also .xz, .gz), or a Hugging Face data set.

Nothing here knows what a column means; ``training.tables.columns`` does. Every error names file and line or
row.
"""

from __future__ import annotations

import codecs
import csv
import gzip
import hashlib
import io
import json
import lzma
import shlex
import zlib
from collections.abc import Callable, Iterable, Iterator
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
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise UserError(f"{path}: is UTF-16; convert it with {_conversion(path, 'UTF-16')}")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise UserError(
            f"{path}, line {line}: byte 0x{data[error.start]:02x} is not UTF-8; "
            f"convert the file, for instance with {_conversion(path, 'GB18030')}"
        ) from None
    position = text.find("\0")
    if position >= 0:
        line = text.count("\n", 0, position) + 1
        raise UserError(f"{path}, line {line}: holds a NUL character; the file is damaged or is not text")
    return text


def _conversion(path: Path, encoding: str) -> str:
    """The command that makes UTF-8 of ``path``, also where it is packed."""
    command, unpack = f"iconv -f {encoding} -t UTF-8", {".xz": "xz -dc", ".gz": "gzip -dc"}
    if path.suffix.lower() in unpack:
        name = shlex.quote(f"utf8-{path.stem}")
        return f"{unpack[path.suffix.lower()]} {shlex.quote(str(path))} | {command} > {name}"
    return f"{command} {shlex.quote(str(path))} > {shlex.quote(f'utf8-{path.name}')}"


def _tsv_rows(path: Path, text: str) -> tuple[list[str], list[Row]]:
    """Tab-separated without quoting: a quotation mark is an ordinary character, as in public TSV sets."""
    lines = [line.rstrip("\r") for line in text.split("\n")]
    if text.strip() and not lines[0].strip():
        raise UserError(f"{path}, line 1: is blank where the header should be; remove the line")
    return _fitted(path, ((number, line.split("\t")) for number, line in enumerate(lines, 1)), _tsv_misfit)


def _tsv_misfit(missing: int, before: list[str], cells: list[str]) -> str:
    if missing < 0:
        return "a tab inside a text?"
    if any(cell.startswith('"') and cell.count('"') % 2 for cell in (*before, *cells)):
        return "a line break in a quoted cell? .tsv is read without quoting: save the table as .csv"
    return "a missing tab, or a line break inside a text?"


def _csv_rows(path: Path, text: str) -> tuple[list[str], list[Row]]:
    csv.field_size_limit(max(len(text), csv.field_size_limit()))  # whole documents stand in cells
    return _fitted(path, _csv_cells(path, text), _csv_misfit)


def _csv_cells(path: Path, text: str) -> Iterator[tuple[int, list[str]]]:
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    line = 1
    try:
        for cells in reader:
            yield line, cells
            line = reader.line_num + 1
    except csv.Error as error:
        raise UserError(f"{path}, line {line}: {error}; mend the quotation marks") from None


def _csv_misfit(missing: int, before: list[str], cells: list[str]) -> str:
    return "a comma outside quotes?" if missing < 0 else "a missing comma?"


def _fitted(
    path: Path, lines: Iterable[tuple[int, list[str]]], misfit: Callable[[int, list[str], list[str]], str]
) -> tuple[list[str], list[Row]]:
    """Columns and rows of the numbered cells in ``lines``, of which the first name the columns.

    Rows of empty cells, and columns of them without a name, are passed over: spreadsheets write them where
    something stood. So is a first column without a name, in which pandas and R number the rows.
    """
    header: list[str] = []
    named: list[int] = []
    nameless: list[int] = []
    before: list[str] = []
    rows = []
    for line, cells in lines:
        if not any(cells):
            continue
        if not header:
            header = cells
            named = [at for at, name in enumerate(header) if name.strip()]
            nameless = [at for at in range(1, len(header)) if at not in named]
            _check_names(path, line, [header[at] for at in named])
        elif len(cells) != len(header):
            raise UserError(
                f"{path}, line {line}: {len(cells)} fields where the header has {len(header)}; "
                f"{misfit(len(header) - len(cells), before, cells)}"
            )
        else:
            for at in nameless:
                if cells[at]:
                    raise UserError(
                        f"{path}, line {line}: column {at + 1} holds {cells[at][:40]!r} but has no name in "
                        "the header; name it, or empty it"
                    )
            rows.append(Row(f"line {line}", {header[at]: cells[at] for at in named}))
        before = cells
    return [header[at] for at in named], rows


def _check_names(path: Path, line: int, names: list[str]) -> None:
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise UserError(f"{path}, line {line}: column {repeated[0]!r} stands twice in the header; rename one")


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
