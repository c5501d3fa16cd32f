"""Raw documents from every kind of source, one after another, in an order that never changes."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from training.corpus.config import CorpusConfig, SourceConfig
from training.corpus.files import SourceFile, document_mode, folder_state, is_saved_data_set, source_files
from training.corpus.lines import ROW_BYTES, Issues, Position, open_bytes, text_lines
from training.errors import UserError

TEXT_COLUMNS = ("text", "content", "document", "sentence", "article", "body")


class SourceReader:
    """Reads one source from its start; iterate it once.

    ``position.bytes`` of ``total_bytes`` (None for a data set of unknown size) tells how far it is;
    ``issues`` what it met.
    """

    def __init__(self, source: SourceConfig, config: CorpusConfig) -> None:
        self.source = source
        self.config = config
        self.issues = Issues()
        self.position = Position()
        self.modes: dict[str, int] = {}  # document mode -> text files read that way
        path = source.expanded_path
        self.is_data_set = path is None or is_saved_data_set(path)
        self.files: list[SourceFile] = [] if self.is_data_set else source_files(source)
        self.total_bytes = None if self.is_data_set else sum(file.size for file in self.files)

    @property
    def state(self) -> list[tuple[str, int, int]]:
        """Name, size and time of every file; empty for a hub data set, which is taken to be unchanged."""
        if not self.is_data_set:
            return [(file.name, file.size, file.modified) for file in self.files]
        folder = self.source.expanded_path or Path(self.source.dataset or "")
        return folder_state(folder) if folder.is_dir() else []

    def __iter__(self) -> Iterator[str]:
        """Documents of at most ``max_characters`` each.

        Raises:
            UserError: a damaged file, a malformed row (file and line), an unknown column (lists those there
            are).
        """
        for text in self._documents():
            if len(text) <= self.config.max_characters:
                yield text
            else:
                yield from _pieces(text, self.config.max_characters)

    def _documents(self) -> Iterator[str]:
        if self.is_data_set:
            from training.corpus.datasets_source import data_set_rows

            columns: tuple[str, ...] = ()
            for number, row in enumerate(data_set_rows(self.source), start=1):
                where = f"source {self.source.name!r}: row {number}"
                columns = columns or choose_columns(self.source, list(row), where)
                yield from self._row(row, columns, where)
            return
        for file in self.files:
            yield from _READERS[file.format](self, file)

    def _text(self, file: SourceFile) -> Iterator[str]:
        mode = document_mode(self.source, self.files, file)
        self.modes[mode] = self.modes.get(mode, 0) + 1
        parts: list[str] = []
        characters = 0
        for line in text_lines(file.path, self.source.encoding, self.issues, self.position):
            text = line.text
            is_end = not text.strip() and mode == "blank"
            if parts and (is_end or characters + len(text) > self.config.max_characters):
                yield "".join(parts)
                parts, characters = [], 0
            if is_end or (mode == "line" and not text.strip()):
                continue
            parts += (text, "\n" if line.complete else "")
            characters += len(text) + 1
            if mode == "line" and line.complete:
                yield "".join(parts)
                parts, characters = [], 0
        if parts:
            yield "".join(parts)

    def _jsonl(self, file: SourceFile) -> Iterator[str]:
        columns: tuple[str, ...] = ()
        for line in text_lines(file.path, self.source.encoding, self.issues, self.position, ROW_BYTES):
            where = f"{file.path}:{line.number}"
            if not line.complete and len(line.text.encode()) >= ROW_BYTES - 4:
                raise UserError(f"{where}: row longer than {ROW_BYTES >> 20} MiB; is this JSON Lines?")
            if not line.text.strip():
                continue
            try:
                row = json.loads(line.text)
            except json.JSONDecodeError as error:
                self._malformed(f"{where}: not JSON ({error.msg} at column {error.colno})")
                continue
            if not isinstance(row, dict):
                self._malformed(f"{where}: a JSON object is expected, found {type(row).__name__}")
                continue
            columns = columns or choose_columns(self.source, list(row), where)
            yield from self._row(row, columns, where)

    def _table(self, file: SourceFile) -> Iterator[str]:
        lines = text_lines(file.path, self.source.encoding, self.issues, self.position, ROW_BYTES)
        texts = (line.text + ("\n" if line.complete else "") for line in lines)
        if file.format == "tsv":  # no quoting: quotation marks in a TSV file are text
            rows = csv.reader(texts, delimiter="\t", quoting=csv.QUOTE_NONE)
        else:
            rows = csv.reader(texts, strict=True)
        csv.field_size_limit(ROW_BYTES)
        try:
            header = next(rows, None)
            if header is None:
                return
            columns = choose_columns(self.source, header, f"{file.path}:1")
            at = [header.index(column) for column in columns]
            while True:
                start = rows.line_num + 1
                row = next(rows, None)
                if row is None:
                    return
                if len(row) == len(header):
                    yield "\n".join(row[index] for index in at)
                elif row:
                    self._malformed(
                        f"{file.path}:{start}: {len(row)} fields, but the header has {len(header)}"
                    )
        except csv.Error as error:
            raise UserError(f"{file.path}:{rows.line_num}: not {file.format.upper()} ({error})") from None

    def _parquet(self, file: SourceFile) -> Iterator[str]:
        import pyarrow as arrow
        import pyarrow.parquet as parquet

        number = 0
        try:
            with open_bytes(file.path, self.position) as stream:
                table = parquet.ParquetFile(stream)
                columns = choose_columns(self.source, table.schema_arrow.names, str(file.path))
                for batch in table.iter_batches(batch_size=256, columns=list(dict.fromkeys(columns))):
                    for row in batch.to_pylist():
                        number += 1
                        yield from self._row(row, columns, f"{file.path}: row {number}")
        except (arrow.ArrowInvalid, OSError) as error:
            raise UserError(f"{file.path}: cannot be read as Parquet ({error})") from None

    def _row(self, row: Mapping[str, Any], columns: tuple[str, ...], where: str) -> Iterator[str]:
        bad = next((column for column in columns if not isinstance(row.get(column), str)), None)
        if bad is None:
            yield "\n".join(row[column] for column in columns)
        else:
            self._malformed(f"{where}: {bad!r} is missing or not text; this row has {', '.join(row)}")

    def _malformed(self, message: str) -> None:
        if self.config.malformed_rows == "error":
            raise UserError(f"{message}; correct it, or set `malformed_rows: skip`")
        self.issues.add("malformed_rows", message)


_READERS: dict[str, Callable[[SourceReader, SourceFile], Iterator[str]]] = {
    "text": SourceReader._text,
    "jsonl": SourceReader._jsonl,
    "tsv": SourceReader._table,
    "csv": SourceReader._table,
    "parquet": SourceReader._parquet,
}


def choose_columns(source: SourceConfig, there: list[str], where: str) -> tuple[str, ...]:
    """The text columns to read out of those ``there``.

    Raises:
        UserError: a wanted column is not there, or none is wanted and no usual name is; lists what there is.
    """
    unknown = [column for column in source.columns if column not in there]
    if unknown:
        raise UserError(f"{where}: no column {unknown[0]!r}; there are: {', '.join(there)}")
    if source.columns:
        return source.columns
    for column in TEXT_COLUMNS:
        if column in there:
            return (column,)
    raise UserError(
        f"{where}: which column is text? None is named {', '.join(TEXT_COLUMNS)}; "
        f"set `columns` of source {source.name!r} to some of: {', '.join(there)}"
    )


def _pieces(text: str, limit: int) -> Iterator[str]:
    start = 0
    while start < len(text):
        end = start + limit
        if end < len(text):  # at a line end or a space in the second half, else in the middle
            cut = max(text.rfind("\n", start + limit // 2, end), text.rfind(" ", start + limit // 2, end))
            end = cut + 1 if cut > 0 else end
        yield text[start:end]
        start = end
