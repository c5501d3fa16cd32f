"""The examples of a run: files read, checked against each other, dev held out, corruption added."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from training.errors import UserError
from training.finetune.config import FinetuneConfig
from training.finetune.corruption import corrupted_examples
from training.finetune.plain_text import read_texts
from training.tables import ORIGINAL, REPLACED, Example, Table, read_table
from training.tables.checks import (
    check_dev,
    check_label_names,
    check_labels,
    check_overlap,
    check_pairs,
    folded,
    join_tables,
    text_key,
)


@dataclass(frozen=True)
class RunData:
    """Checked examples. ``files``: what was read, per split, with rows and SHA-256."""

    train: list[Example]
    dev: list[Example]
    test: list[Example]
    labels: list[str]
    unlabelled: list[Example] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    files: dict[str, list[dict[str, object]]] = field(default_factory=dict)


def read_data(config: FinetuneConfig) -> RunData:
    """Read and check all files of a run.

    Raises:
        UserError: see ``read_table``, ``check_label_names``, ``check_labels``, ``check_overlap`` and
            ``check_pairs``; too few rows to hold out, or for the labels.
    """
    warnings: list[str] = []
    files: dict[str, list[dict[str, object]]] = {}
    splits: dict[str, list[Example]] = {}
    read: list[Table] = []
    for split in ("train", "dev", "test"):
        tables = [_read(path, config, split) for path in getattr(config, split)]
        splits[split] = join_tables(tables)
        warnings.extend(line for table in tables for line in table.warnings)
        files[split] = [_entry(table) for table in tables]
        read += tables
    check_pairs(read)
    check_label_names(read, config.label_names)
    train, dev, test = splits["train"], splits["dev"], splits["test"]
    others = {name: splits[name] for name in ("dev", "test") if splits[name]}
    if train:
        train, overlaps = check_overlap(train, others, drop=config.overlap == "drop")
        warnings.extend(overlaps)
    warnings.extend(check_dev(dev, test))
    if config.corruption is not None:
        made, entries = corrupted_examples(config.corruption)
        files["corruption"] = entries
        train = [*train, *made]
    if not dev:
        train, dev = hold_out(train, config.dev_fraction)
        others["dev"] = dev
    # After dev is held out: both go by a hash of the text, so the first rows left would all be dev's.
    if config.max_train_rows:
        train = _first_rows(train, config.max_train_rows)
    if config.task == "error_detection":
        labels = [ORIGINAL, REPLACED]
        if not any(REPLACED in example.labels for example in train):
            raise UserError(f"{train[0].place}: no row of train has an error; give rows with errors")
    else:
        labels = check_labels(train, others, config.task)
    unlabelled: list[Example] = []
    if config.unlabelled:
        for path in config.unlabelled:
            texts, digest = read_texts(Path(path), config.columns.text)
            unlabelled.extend(Example(text, place, ()) for place, text in texts)
            files.setdefault("unlabelled", []).append({"path": path, "rows": len(texts), "sha256": digest})
        if config.max_unlabelled_rows:
            unlabelled = sorted(unlabelled, key=_text_hash)[: config.max_unlabelled_rows]
        _check_pairs(unlabelled, train)
    return RunData(train, dev, test, labels, unlabelled, warnings, files)


def _read(path: str, config: FinetuneConfig, split: str) -> Table:
    return read_table(
        path,
        config.task,
        config.columns,
        split=split,
        drop_empty=config.drop_empty,
        label_names=config.label_names,
    )


def _entry(table: Table) -> dict[str, object]:
    return {"path": str(table.path), "rows": len(table.examples), "sha256": table.digest}


def _check_pairs(unlabelled: Sequence[Example], train: Sequence[Example]) -> None:
    if any(example.text_pair is not None for example in train):
        place = unlabelled[0].place
        raise UserError(f"{place}: unlabelled text does not fit sentence pairs; leave it out")


def _text_hash(example: Example) -> bytes:
    return _hash(text_key(example))


def _hash(key: tuple[str, str]) -> bytes:
    return hashlib.sha256("\x1f".join(key).encode("utf-8", "surrogatepass")).digest()


def _first_rows(examples: list[Example], limit: int) -> list[Example]:
    """The first ``limit`` rows by a hash of the text, and of every label at least its first."""
    if len(examples) <= limit:
        return examples
    ordered = sorted(examples, key=_text_hash)
    first: dict[str, int] = {}
    for at, example in enumerate(ordered):
        for label in example.labels:
            first.setdefault(label, at)
    needed = set(first.values())
    if len(needed) > limit:
        raise UserError(
            f"max_train_rows: {limit} rows cannot hold the {len(first)} labels of train; raise it"
        )
    chosen = sorted(range(len(ordered)), key=lambda at: at not in needed)[:limit]
    return [ordered[at] for at in sorted(chosen)]


def hold_out(examples: Sequence[Example], fraction: float) -> tuple[list[Example], list[Example]]:
    """Train and dev parts; a row's part depends on its text before corruption, so equal texts stay together.

    A text with a label that no row of train would have stays in train.

    Raises:
        UserError: too few different texts to hold any out.
    """
    bound = int(fraction * 2**32)
    keys = [text_key(e) if e.clean is None else (folded(e.clean), "") for e in examples]
    chosen = {key for key in set(keys) if int.from_bytes(_hash(key)[:4]) < bound}
    rows = list(zip(keys, examples, strict=True))
    learnt = {label for key, example in rows if key not in chosen for label in example.labels}
    chosen -= {key for key, example in rows if not learnt.issuperset(example.labels)}
    dev = [example for key, example in rows if key in chosen]
    train = [example for key, example in rows if key not in chosen]
    if not dev or not train:
        raise UserError(
            f"{examples[0].place}: {len(examples)} rows of {len(set(keys))} different texts are too few to "
            f"hold out {fraction:g} of them; give a dev file"
        )
    return train, dev
