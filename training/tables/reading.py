"""A table file to checked examples."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from training.errors import UserError
from training.tables.columns import HEADER_NAMES, find_columns
from training.tables.examples import TOKEN_TASKS, Columns, Example, Table, Task
from training.tables.files import RawTable, read_rows
from training.tables.rows import labels_of, string_of, text_of
from training.tokenizer import is_blank

# A cell as spreadsheets quote it: quotation marks around, and at least one inside, each doubled.
_QUOTED = re.compile(r'"[^"]*(?:""[^"]*)+"')


def read_table(
    path: Path | str,
    task: Task = "single_label",
    columns: Columns | None = None,
    *,
    split: str = "train",
    drop_empty: bool = False,
    label_names: dict[str, str] | None = None,
) -> Table:
    """Read and check labelled examples.

    A label of -1 is one like any other, in every kind of file; only a saved Hugging Face data set with class
    names means an unlabelled row by it.

    Args:
        split: part of a saved ``DatasetDict`` to read: train, dev or test.
        drop_empty: leave out rows with an empty text (see ``is_blank``), and warn, instead of refusing the
            file.
        label_names: new names for labels as they stand in the file, such as ``{"0": "negative"}``.

    Raises:
        UserError: the file cannot be read (see ``read_rows``), no such column, a row without text or label.
    """
    columns = columns or Columns()
    raw = read_rows(Path(path), split)
    names = find_columns(raw, task, columns)
    examples, empty = [], []
    raw_labels: set[str] = set()
    for row in raw.rows:
        where = f"{raw.path}, {row.place}"
        text, units = text_of(row, names, where)
        pair = string_of(row, names, "text_pair", where) if "text_pair" in names else None
        if is_blank(text) or (pair is not None and is_blank(pair)):
            empty.append(row.place)
            continue
        labels = labels_of(row, names, task, units, columns.label_separator, where)
        raw_labels.update(labels)
        if label_names:
            labels = tuple(label_names.get(label, label) for label in labels)
        examples.append(Example(text, row.place, labels, pair, units if task in TOKEN_TASKS else ()))
    if empty and not drop_empty:
        raise UserError(
            f"{raw.path}, {empty[0]}: empty text ({len(empty)} such); remove them or set drop_empty: true"
        )
    if not examples:
        raise UserError(f"{raw.path}: every row has an empty text; give texts")
    warnings = [*_unread(raw, names, columns), *_quoted(raw), *_warnings(raw.path, examples, empty)]
    return Table(raw.path, examples, raw.digest, warnings, frozenset(raw_labels))


def _unread(raw: RawTable, names: dict[str, str], columns: Columns) -> list[str]:
    """A warning where another column has the name of a text, as in pairs of question and sentence."""
    if columns.text is not None or "text_pair" in names or "text" not in names:
        return []
    texts = {*HEADER_NAMES["text"], *HEADER_NAMES["text_pair"]}
    others = [name for name in raw.columns if name.lower().strip() in texts and name != names["text"]]
    if not others:
        return []
    return [
        f"{raw.path}: column {others[0]!r} is not read; name it in columns.text_pair if it belongs to "
        f"{names['text']!r}, else name {names['text']!r} in columns.text"
    ]


def _quoted(raw: RawTable) -> list[str]:
    """A warning where cells of a .tsv stand in quotation marks with those inside doubled, as in a .csv."""
    if not raw.path.name.lower().removesuffix(".xz").removesuffix(".gz").endswith(".tsv"):
        return []
    places = [row.place for row in raw.rows if any(map(_QUOTED.fullmatch, row.cells.values()))]
    if not places:
        return []
    return [
        f"{raw.path}: {len(places)} rows hold a text in quotation marks with those inside doubled (first at "
        f"{places[0]}); .tsv is read without quoting and keeps them: save the table as .csv"
    ]


def _warnings(path: Path, examples: Sequence[Example], empty: Sequence[str]) -> list[str]:
    warnings = []
    if empty:
        warnings.append(f"{path}: left out {len(empty)} rows with an empty text (first at {empty[0]})")
    damaged = [example.place for example in examples if "\ufffd" in example.text]
    if damaged:
        warnings.append(
            f"{path}: {len(damaged)} texts hold U+FFFD, the mark of an encoding broken earlier "
            f"(first at {damaged[0]})"
        )
    return warnings
