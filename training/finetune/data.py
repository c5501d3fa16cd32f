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
from training.table_checks import check_labels, check_overlap, join_tables, text_key
from training.tables import ORIGINAL, REPLACED, Example, Table, read_table


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
        UserError: see ``read_table``, ``check_labels`` and ``check_overlap``.
    """
    warnings: list[str] = []
    files: dict[str, list[dict[str, object]]] = {}
    splits: dict[str, list[Example]] = {}
    for split in ("train", "dev", "test"):
        tables = [_read(path, config, split) for path in getattr(config, split)]
        splits[split] = join_tables(tables)
        warnings.extend(line for table in tables for line in table.warnings)
        files[split] = [_entry(table) for table in tables]
    train, dev, test = splits["train"], splits["dev"], splits["test"]
    others = {name: splits[name] for name in ("dev", "test") if splits[name]}
    if train:
        train, overlaps = check_overlap(train, others, drop=config.overlap == "drop")
        warnings.extend(overlaps)
    if config.corruption is not None:
        made, entries = corrupted_examples(config.corruption)
        files["corruption"] = entries
        train = [*train, *made]
    if config.max_train_rows and len(train) > config.max_train_rows:
        train = sorted(train, key=_text_hash)[: config.max_train_rows]
    if not dev:
        train, dev = hold_out(train, config.dev_fraction)
        others["dev"] = dev
    if config.task == "error_detection":
        labels = [ORIGINAL, REPLACED]
        if not any(REPLACED in example.labels for example in train):
            raise UserError(f"{train[0].place}: no row of train has an error; give rows with errors")
    else:
        labels = check_labels(train, others, config.task)
    unlabelled = []
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
    return hashlib.sha256("\x1f".join(text_key(example)).encode("utf-8", "surrogatepass")).digest()


def hold_out(examples: Sequence[Example], fraction: float) -> tuple[list[Example], list[Example]]:
    """Train and dev parts; a row's part depends on its text alone, so equal texts stay together.

    Raises:
        UserError: too few different texts to hold any out.
    """
    bound = int(fraction * 2**32)
    chosen = [int.from_bytes(_text_hash(example)[:4]) < bound for example in examples]
    dev = [example for example, held in zip(examples, chosen, strict=True) if held]
    train = [example for example, held in zip(examples, chosen, strict=True) if not held]
    if not dev or not train:
        raise UserError(
            f"{examples[0].place}: {len(examples)} rows are too few to hold out {fraction:g} of them; "
            "give a dev file"
        )
    return train, dev
