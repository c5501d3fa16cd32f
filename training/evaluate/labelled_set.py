"""The labelled rows that a classifier is judged on, and those that its baselines are fitted on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from app.tasks.model import ServedModel
from training.errors import UserError
from training.evaluate.config import EvaluateConfig
from training.tables import Example, Table, Task, read_table
from training.tables.checks import check_label_names, check_overlap, check_pairs, join_tables


@dataclass(frozen=True)
class TableRows:
    """A table of a ``LabelledSet``: ``name`` and ``split`` as by ``name_and_split``, and its rows of all."""

    name: str
    split: str
    rows: slice


@dataclass(frozen=True, eq=False)
class LabelledSet:
    """Labelled rows that a classifier is judged on.

    Attributes:
        tables: where they come from, in order.
        truth: bool ``[rows, labels]``; one per row for single labels.
        train: rows for the baselines, empty where none are given.
        warnings: what is wrong with the data, in lines.
    """

    tables: list[TableRows]
    examples: list[Example]
    truth: np.ndarray
    train: list[Example]
    warnings: list[str]

    @property
    def name(self) -> str:
        """Such as ``chnsenticorp``, or ``chnsenticorp + sst2``."""
        return " + ".join(table.name for table in self.tables)

    @property
    def split(self) -> str:
        """The split that all tables are of, else ``all``."""
        splits = {table.split for table in self.tables}
        return splits.pop() if len(splits) == 1 else "all"

    @property
    def texts(self) -> list[str]:
        return [example.text for example in self.examples]

    @property
    def pairs(self) -> list[str] | None:
        return pairs_of(self.examples)

    @property
    def places(self) -> list[str]:
        return [example.place for example in self.examples]


def read_test_set(model: ServedModel, config: EvaluateConfig) -> LabelledSet:
    """The test tables of ``config`` (and the train tables) in terms of the bundle's labels.

    Raises:
        UserError: no test table, one that cannot be read, a label that the classifier does not know, a
            key of ``label_names`` that renames nothing, or single texts beside pairs.
    """
    manifest = model.bundle.manifest
    if not config.test_tables:
        raise UserError(f"{manifest.name}: is a classifier; name a labelled table as test")
    task: Task = "multi_label" if manifest.problem_type == "multi_label" else "single_label"

    def read(path: str, split: str) -> Table:
        return read_table(
            Path(path), task, config.columns, drop_empty=True, split=split, label_names=config.label_names
        )

    names = _names([Path(path) for path in config.test_tables])
    train = [read(path, "train") for path in config.train]
    test = [read(path, "test") for path in config.test_tables]
    check_label_names([*train, *test], config.label_names, may_lack=not train)
    for table in (*train, *test):
        _check_labels(table, manifest.name, manifest.labels)
    check_pairs([*train, *test])
    tables: list[TableRows] = []
    examples: list[Example] = []
    warnings = [line for table in train for line in table.warnings]
    for table, (name, split) in zip(test, names, strict=True):
        rows = join_tables([table])[: config.rows or None]
        tables.append(TableRows(name, split, slice(len(examples), len(examples) + len(rows))))
        examples += rows
        warnings += table.warnings
    train_rows = join_tables(train)
    if train_rows:
        drop = config.overlap == "drop"
        train_rows, overlaps = check_overlap(train_rows, {"test": examples}, drop=drop)
        warnings += overlaps
    truth = np.array([[label in example.labels for label in manifest.labels] for example in examples])
    return LabelledSet(tables, examples, truth, train_rows, warnings)


def name_and_split(path: Path) -> tuple[str, str]:
    """A name and a split: ``cls/waimai/test.tsv`` is (waimai, test), ``mine.tsv`` is (mine, all).

    The working directory says nothing of its tables: ``test.tsv`` there is (test, test).
    """
    stem = path.name.split(".")[0]
    if stem in ("train", "dev", "test", "train_nodup"):
        folder = path.resolve().parent
        return (stem if folder == Path.cwd() else folder.name), stem
    return stem, "all"


def _names(paths: Sequence[Path]) -> list[tuple[str, str]]:
    """``name_and_split`` of each, with the folder above where two would be called the same.

    Raises:
        UserError: a file that is named twice.
    """
    names: list[tuple[str, str]] = []
    for at, path in enumerate(paths):
        if path.resolve() in [other.resolve() for other in paths[:at]]:
            raise UserError(f"test: {path} is named twice; its rows would count twice")
        names.append(name_and_split(path))
    for at, (name, split) in enumerate(list(names)):
        if [name_and_split(path) for path in paths].count((name, split)) > 1:
            folder = paths[at].resolve().parent
            names[at] = f"{(folder.parent if folder.name == name else folder).name}/{name}", split
    return names


def pairs_of(examples: Sequence[Example]) -> list[str] | None:
    """The second texts; None where a row has none."""
    if any(example.text_pair is None for example in examples):
        return None
    return [example.text_pair or "" for example in examples]


def _check_labels(table: Table, name: str, known: Sequence[str]) -> None:
    for example in table.examples:
        unknown = [label for label in example.labels if label not in known]
        if unknown:
            raise UserError(
                f"{table.path}, {example.place}: label {unknown[0]!r} is none of {name}'s "
                f"({', '.join(known[:8])}); name its new name in label_names"
            )
