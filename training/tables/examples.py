"""What a labelled table is made of, once it is read and checked."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

Task = Literal["single_label", "multi_label", "token_labels", "error_detection"]
Units = tuple[tuple[int, int], ...]
TOKEN_TASKS: tuple[Task, ...] = ("token_labels", "error_detection")
REPLACED = "replaced"
ORIGINAL = "original"


@dataclass(frozen=True)
class Columns:
    """Column names; ``None`` finds the column by its header (see ``training.tables.columns``)."""

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
