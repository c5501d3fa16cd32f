"""Labelled tables: files to checked examples, and whether train, dev and test fit together."""

from training.tables.columns import HEADER_NAMES
from training.tables.examples import (
    ORIGINAL,
    REPLACED,
    TOKEN_TASKS,
    Columns,
    Example,
    Table,
    Task,
    Units,
)
from training.tables.reading import read_table
from training.tables.rows import join_tokens

__all__ = [
    "HEADER_NAMES",
    "ORIGINAL",
    "REPLACED",
    "TOKEN_TASKS",
    "Columns",
    "Example",
    "Table",
    "Task",
    "Units",
    "join_tokens",
    "read_table",
]
