"""Labelled examples: which column is what, and what a row must hold."""

from __future__ import annotations

import difflib
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from training.errors import UserError
from training.table_files import RawTable, Row, read_rows
from training.tokenizer import is_blank

Task = Literal["single_label", "multi_label", "token_labels", "error_detection"]
Units = tuple[tuple[int, int], ...]
TOKEN_TASKS: tuple[Task, ...] = ("token_labels", "error_detection")
REPLACED = "replaced"
ORIGINAL = "original"

# Header names by which a column is found when the configuration does not name it, best first.
HEADER_NAMES: dict[str, tuple[str, ...]] = {
    "text": (
        "text",
        "text_a",
        "sentence",
        "sentence1",
        "sentence_a",
        "premise",
        "question",
        "content",
        "review",
    ),
    "text_pair": ("text_pair", "text_b", "sentence2", "sentence_b", "hypothesis"),
    "label": ("label", "labels", "class", "category"),
    "labels": ("labels", "label", "ner_tags", "tags"),
    "tokens": ("tokens", "words"),
    "errors": ("errors",),
}


@dataclass(frozen=True)
class Columns:
    """Column names; ``None`` finds the column by its header (see HEADER_NAMES)."""

    # The text; for sentence pairs the first one.
    text: str | None = None
    # The second text of a sentence pair.
    text_pair: str | None = None
    # One label (single_label).
    label: str | None = None
    # Several labels (multi_label) or one label per token (token_labels).
    labels: str | None = None
    # The words or characters of a text, a list or separated by spaces (token_labels, error_detection).
    tokens: str | None = None
    # Places of the wrong tokens, or of the wrong code points where there are no tokens (error_detection).
    errors: str | None = None
    # Between the labels of one cell in TSV and CSV (multi_label).
    label_separator: str = "|"


@dataclass(frozen=True, slots=True)
class Example:
    """One checked example.

    ``labels``: one entry (single_label), any number (multi_label), or one per unit (token tasks).
    ``units``: half-open code-point spans ``text[start:end]`` that carry the labels of token tasks, in order.
    ``clean``: the text before errors were made in it, None where none were made.
    """

    text: str
    place: str
    labels: tuple[str, ...]
    text_pair: str | None = None
    units: Units = ()
    clean: str | None = None

    @property
    def label(self) -> str:
        return self.labels[0]


@dataclass(frozen=True)
class Table:
    """Checked examples of one file; ``warnings`` are lines for the user, ``digest`` is its SHA-256.

    ``raw_labels``: the labels as they stand in the file, before ``label_names``.
    """

    path: Path
    examples: list[Example]
    digest: str
    warnings: list[str] = field(default_factory=list)
    raw_labels: frozenset[str] = frozenset()

    @property
    def texts(self) -> list[str]:
        return [example.text for example in self.examples]

    @property
    def pairs(self) -> list[str] | None:
        """The second texts, or None where the table has no pairs."""
        pairs = [example.text_pair for example in self.examples]
        return None if any(pair is None for pair in pairs) else [pair or "" for pair in pairs]

    @property
    def labels(self) -> list[str]:
        """The single label of each example."""
        return [example.label for example in self.examples]


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
    names = _find_columns(raw, task, columns)
    examples, empty = [], []
    raw_labels: set[str] = set()
    for row in raw.rows:
        where = f"{raw.path}, {row.place}"
        text, units = _text_of(row, names, where)
        pair = _string(row, names, "text_pair", where) if "text_pair" in names else None
        if is_blank(text) or (pair is not None and is_blank(pair)):
            empty.append(row.place)
            continue
        labels = _labels_of(row, names, task, units, columns.label_separator, where)
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
    warnings = _warnings(raw.path, examples, empty)
    return Table(raw.path, examples, raw.digest, warnings, frozenset(raw_labels))


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


# Roles that a task must have and may have, besides the text.
_REQUIRED: dict[str, tuple[str, ...]] = {
    "single_label": ("label",),
    "multi_label": ("labels",),
    "token_labels": ("labels",),
    "error_detection": (),
}
_OPTIONAL: dict[str, tuple[str, ...]] = {
    "single_label": ("text_pair",),
    "multi_label": ("text_pair",),
    "token_labels": ("tokens",),
    "error_detection": ("tokens", "errors", "labels"),
}


def _find_columns(raw: RawTable, task: Task, columns: Columns) -> dict[str, str]:
    """Column name by role; optional roles may be absent."""
    found: dict[str, str] = {}
    for role in ("text", *_REQUIRED[task], *_OPTIONAL[task]):
        named = getattr(columns, role)
        if named is not None:
            if named not in raw.columns:
                near = difflib.get_close_matches(named, raw.columns, n=1)
                hint = f"did you mean {near[0]!r}?" if near else f"its columns are {', '.join(raw.columns)}"
                raise UserError(f"{raw.path}: no column {named!r} (columns.{role}); {hint}")
            found[role] = named
            continue
        lower = {name.lower().strip(): name for name in reversed(raw.columns)}
        match = next((lower[name] for name in HEADER_NAMES[role] if name in lower), None)
        if match is not None:
            found[role] = match
    missing = [role for role in _REQUIRED[task] if role not in found]
    if "text" not in found and "tokens" not in found:
        missing.insert(0, "text")
    if task == "error_detection" and "errors" not in found and not ({"tokens", "labels"} <= found.keys()):
        missing.append("errors")
    if missing:
        role, names = missing[0], ", ".join(raw.columns)
        cure = f"name it in columns.{role}" + (_header_cure(raw.path, task) if not found else "")
        raise UserError(f"{raw.path}: no {role} column among {names}; {cure}")
    return found


def _header_cure(path: Path, task: Task) -> str:
    """Where no column at all is found, the first row was most likely meant as one."""
    name = path.name.lower().removesuffix(".xz").removesuffix(".gz")
    between = "<TAB>" if name.endswith(".tsv") else "," if name.endswith(".csv") else None
    if between is None:
        return ""
    return f", or add a header line such as {between.join((*_REQUIRED[task], 'text'))}"


def _text_of(row: Row, names: dict[str, str], where: str) -> tuple[str, Units]:
    """The text and the spans of its tokens (each character, where no token column is)."""
    if "tokens" in names:
        tokens = _list(row, names, "tokens", where)
        if "text" not in names:
            return join_tokens(tokens)
        text = _string(row, names, "text", where)
        units, start = [], 0
        for token in tokens:
            at = text.find(token, start)
            if at < 0:
                raise UserError(
                    f"{where}: token {token!r} does not follow in the text; let tokens spell the text"
                )
            start = at + len(token)
            units.append((at, start))
        return text, tuple(units)
    text = _string(row, names, "text", where)
    return text, tuple((at, at + 1) for at in range(len(text)))


def join_tokens(tokens: Sequence[str]) -> tuple[str, Units]:
    """Tokens as running text and their spans; a space between words, none beside a Chinese character."""
    text, spans = "", []
    for token in tokens:
        if text and token and not (_wide(text[-1]) or _wide(token[0])):
            text += " "
        spans.append((len(text), len(text) + len(token)))
        text += token
    return text, tuple(spans)


def _wide(character: str) -> bool:
    return unicodedata.east_asian_width(character) in "WF"


def _labels_of(
    row: Row, names: dict[str, str], task: Task, units: Units, separator: str, where: str
) -> tuple[str, ...]:
    if task == "single_label":
        return (_label(row, names, where),)
    if task == "multi_label":
        return tuple(dict.fromkeys(_list(row, names, "labels", where, separator)))
    if task == "error_detection":
        return _error_labels(row, names, len(units), where)
    labels = tuple(_list(row, names, "labels", where))
    _check_count(labels, len(units), where)
    return labels


def _check_count(labels: Sequence[str], units: int, where: str) -> None:
    if len(labels) != units:
        raise UserError(f"{where}: {units} tokens but {len(labels)} labels; give one label per token")


def _error_labels(row: Row, names: dict[str, str], units: int, where: str) -> tuple[str, ...]:
    if "errors" in names:
        empty = row.cells.get(names["errors"]) in (None, "")
        try:
            wrong = set() if empty else {int(place) for place in _list(row, names, "errors", where)}
        except ValueError:
            raise UserError(f"{where}: column {names['errors']!r} must hold places (whole numbers)") from None
        outside = [place for place in wrong if not 0 <= place < units]
        if outside:
            raise UserError(
                f"{where}: error at place {outside[0]}, but the last of {units} places is {units - 1}"
            )
    else:
        flags = _list(row, names, "labels", where)
        _check_count(flags, units, where)
        unknown = [flag for flag in flags if flag not in _WRONG_FLAGS + _RIGHT_FLAGS]
        if unknown:
            raise UserError(f"{where}: label {unknown[0]!r}; error detection takes 0 and 1, or c and i")
        wrong = {at for at, flag in enumerate(flags) if flag in _WRONG_FLAGS}
    return tuple(REPLACED if at in wrong else ORIGINAL for at in range(units))


_WRONG_FLAGS = ("1", "i", REPLACED)
_RIGHT_FLAGS = ("0", "c", ORIGINAL)


def _string(row: Row, names: dict[str, str], role: str, where: str) -> str:
    value = row.cells.get(names[role])
    if value is None:
        return ""
    if not isinstance(value, str):
        raise UserError(f"{where}: column {names[role]!r} holds a {type(value).__name__}, not a text")
    return value


def _label(row: Row, names: dict[str, str], where: str) -> str:
    value, column = row.cells.get(names["label"]), names["label"]
    if isinstance(value, list | dict):
        kind = type(value).__name__
        raise UserError(f"{where}: column {column!r} holds a {kind}; for several labels use multi_label")
    text = "" if value is None else str(value).strip()
    if not text:
        raise UserError(f"{where}: no label in column {column!r}; label the row or remove it")
    return text


def _list(row: Row, names: dict[str, str], role: str, where: str, separator: str | None = None) -> list[str]:
    value, column = row.cells.get(names[role]), names[role]
    if value is None:
        raise UserError(f"{where}: nothing in column {column!r}; give a list")
    if isinstance(value, list | tuple):
        return [str(item) for item in value]
    if isinstance(value, str):
        return [item.strip() for item in value.split(separator) if item.strip()]
    raise UserError(f"{where}: column {column!r} holds a {type(value).__name__}, not a list")
