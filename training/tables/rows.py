"""What a row must hold: its text, the spans that carry labels, and the labels of its task."""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Sequence
from typing import Any

from training.errors import UserError
from training.tables.examples import ORIGINAL, REPLACED, Task, Units
from training.tables.files import Row


def text_of(row: Row, names: dict[str, str], where: str) -> tuple[str, Units]:
    """The text and the spans of its tokens (each character, where no token column is)."""
    if "tokens" in names:
        tokens = _list(row, names, "tokens", where)
        if "text" not in names:
            return join_tokens(tokens)
        text = string_of(row, names, "text", where)
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
    text = string_of(row, names, "text", where)
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


def labels_of(
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
        empty = _cell(row, names["errors"]) in (None, "")
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


# As pandas writes a list or an array into a cell.
_WRITTEN_LIST = re.compile(r"\s*\[\s*(?:(['\"]).*\1\s*)?\]\s*$", re.DOTALL)
_WRONG_FLAGS = ("1", "i", REPLACED)
_RIGHT_FLAGS = ("0", "c", ORIGINAL)


def _cell(row: Row, column: str) -> Any:
    value = row.cells.get(column)
    return None if _missing(value) else value


def _missing(value: Any) -> bool:
    """Null, or NaN, as pandas writes a gap."""
    return value is None or (isinstance(value, float) and math.isnan(value))


def _written(value: Any) -> str:
    """One spelling for one value: of gaps pandas makes 1.0 out of 1, and JSON writes true, not True."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


def string_of(row: Row, names: dict[str, str], role: str, where: str) -> str:
    value = _cell(row, names[role])
    if value is None:
        return ""
    if not isinstance(value, str):
        raise UserError(f"{where}: column {names[role]!r} holds a {type(value).__name__}, not a text")
    return value


def _label(row: Row, names: dict[str, str], where: str) -> str:
    column = names["label"]
    value = _cell(row, column)
    if isinstance(value, list | dict):
        kind = type(value).__name__
        raise UserError(f"{where}: column {column!r} holds a {kind}; for several labels use multi_label")
    text = "" if value is None else _written(value).strip()
    if not text:
        raise UserError(f"{where}: no label in column {column!r}; label the row or remove it")
    return text


def _list(row: Row, names: dict[str, str], role: str, where: str, separator: str | None = None) -> list[str]:
    column = names[role]
    value = _cell(row, column)
    if value is None:
        raise UserError(f"{where}: nothing in column {column!r}; give a list")
    if isinstance(value, list | tuple):
        if any(map(_missing, value)):
            raise UserError(f"{where}: column {column!r} has a gap in its list; fill it or remove the row")
        return [_written(item) for item in value]
    if isinstance(value, str):
        if _WRITTEN_LIST.match(value):
            raise UserError(
                f"{where}: column {column!r} holds {value[:40]!r}, a list written as text; write "
                f"{'a|b' if separator == '|' else 'the parts with spaces between'}, or use JSON lines"
            )
        return [item.strip() for item in value.split(separator) if item.strip()]
    raise UserError(f"{where}: column {column!r} holds a {type(value).__name__}, not a list")
