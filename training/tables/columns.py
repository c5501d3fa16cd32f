"""Which column is what: as the user names it, or by its header."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from pathlib import Path

from training.errors import UserError
from training.tables.examples import Columns, Task
from training.tables.files import RawTable

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


def find_columns(raw: RawTable, task: Task, columns: Columns) -> dict[str, str]:
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
        cure = f"name it in columns.{role}" + (_header_cure(raw.path, raw.columns, task) if not found else "")
        raise UserError(f"{raw.path}: no {role} column among {names}; {cure}")
    return found


def _header_cure(path: Path, columns: Sequence[str], task: Task) -> str:
    """Where no column at all is found, the first row was most likely meant as one."""
    name = path.name.lower().removesuffix(".xz").removesuffix(".gz")
    if len(columns) == 1 and ";" in columns[0]:
        return ", or write the file with commas: it seems to have semicolons between its columns"
    between = "<TAB>" if name.endswith(".tsv") else "," if name.endswith(".csv") else None
    if between is None:
        return ""
    return f", or add a header line such as {between.join((*_REQUIRED[task], 'text'))}"
