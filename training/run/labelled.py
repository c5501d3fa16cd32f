"""The labelled tables of a recipe before its first stage, held against each other and against the keys beside
them, by the functions of the stages that will read them.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np

from training.errors import UserError
from training.evaluate.config import EvaluateConfig
from training.export.config import ExportConfig
from training.finetune.config import FinetuneConfig
from training.finetune.data import read_data
from training.run.inputs import Named, named_by
from training.run.recipe import Recipe
from training.tables import ORIGINAL, REPLACED, Example, Table, Task, read_table
from training.tables.checks import check_label_names, check_labels, check_pairs, join_tables

# A table that is larger (as stored) is not read before its turn.
_LARGEST_TABLE = 32 * 2**20


def check_tuning(recipe: Recipe, where: str, config: FinetuneConfig) -> tuple[list[Example], list[str]]:
    """Read the tables of a fine-tuning as it will, and hold its keys against them.

    Returns:
        The rows of train, none where a table could not be looked at; and what was not looked at, in lines.

    Raises:
        UserError: see ``read_data``; a metric that the task does not have, weights of other labels. Names the
            key under ``where``.
    """
    named = named_by(config, "train", "dev", "test")
    ready, unseen = _ready(recipe, where, named)
    train: list[Example] = []
    labels: list[str] | None = None
    with _named_keys(recipe, where, config, [*named, *named_by(config, "unlabelled")]):
        if ready == named and config.corruption is None:
            data = read_data(replace(config, unlabelled=tuple(filter(_is_small, config.unlabelled))))
            train, labels = data.train, data.labels
        else:
            if config.corruption is None:
                unseen.append(f"{where}: whether its tables fit together")
            for key, path in ready:
                read_table(path, config.task, config.columns, split=key, drop_empty=config.drop_empty)
        if config.task == "error_detection":
            labels = [ORIGINAL, REPLACED]
        _check_metric(config, labels)
        if labels is not None and isinstance(config.class_weights, dict):
            # Imported here: torch need not be loaded for recipes that give none.
            from training.finetune.losses import class_weights

            class_weights(config.class_weights, config.task, labels, [])
    return train, unseen


def check_judging(
    recipe: Recipe,
    where: str,
    config: ExportConfig | EvaluateConfig,
    task: Task,
    train: Sequence[Example],
) -> list[str]:
    """Read the tables that a classifier is judged on; their labels must be among those of ``train``, the rows
    that it learns from, where these are known.

    Returns:
        What was not looked at, in lines.

    Raises:
        UserError: a table that cannot be used, a label that the classifier will not know, ``label_names``
            that rename nothing. Names the key under ``where``.
    """
    named = named_by(config, *(("test_data",) if isinstance(config, ExportConfig) else ("train", "test")))
    ready, unseen = _ready(recipe, where, named)
    part = where.rpartition(".")[2]
    with _named_keys(recipe, where, config, named):
        tables = [(key, _judged(key, path, config, task)) for key, path in ready]
        if ready == named:
            every = [table for _, table in tables]
            may_lack = not any(key == "train" for key, _ in tables)
            check_label_names(every, config.label_names, may_lack=may_lack)
            check_pairs(every)
        if train:
            for key, table in tables:
                check_labels(train, {f"{part}.{key}": join_tables([table])}, task)
    return unseen


def _judged(key: str, path: str, config: ExportConfig | EvaluateConfig, task: Task) -> Table:
    split = "train" if key == "train" else "test"
    return read_table(
        path, task, config.columns, split=split, drop_empty=True, label_names=config.label_names
    )


def _ready(recipe: Recipe, where: str, named: Named) -> tuple[Named, list[str]]:
    """The tables that can be read now, and in lines those that are left for later."""
    ready: Named = []
    unseen = []
    for key, path in named:
        if not Path(path).exists() and recipe.makes(path):
            continue
        if _is_small(path):
            ready.append((key, path))
        else:
            kind = "a saved data set" if Path(path).is_dir() else "a large table"
            unseen.append(f"{where}.{key}: what is in {path}, {kind}")
    return ready, unseen


def _is_small(path: str) -> bool:
    return Path(path).is_file() and Path(path).stat().st_size <= _LARGEST_TABLE


@contextmanager
def _named_keys(
    recipe: Recipe, where: str, config: FinetuneConfig | ExportConfig | EvaluateConfig, named: Named
) -> Iterator[None]:
    """Put the key before an error that begins with a file of ``named`` or with a key of ``config``."""
    try:
        yield
    except UserError as error:
        said, keys = str(error), [field.name for field in dataclasses.fields(config)]
        files = ((key, str(Path(path))) for key, path in named)
        key = next((key for key, file in files if said.startswith((f"{file}, ", f"{file}: "))), None)
        if key is not None:
            said = f".{key}: {said}"
        else:
            said = f".{said}" if said.partition(":")[0] in keys else f": {said}"
        raise UserError(f"{recipe.name}: {where}{said}") from None


def _check_metric(config: FinetuneConfig, labels: Sequence[str] | None) -> None:
    """Refuse a metric that the task does not have; of token labels it depends on the ``labels``."""
    if config.metric is None or (labels is None and config.task == "token_labels"):
        return
    figures = _figures(config.task, labels or ["a", "b"])
    if config.metric not in figures:
        raise UserError(f"metric: no {config.metric!r} for task {config.task}; one of {', '.join(figures)}")


def _figures(task: Task, labels: Sequence[str]) -> list[str]:
    """Names of the figures of ``task``, as one made-up row has them."""
    # Imported here: torch need not be loaded for recipes that name no metric.
    from training.finetune.features import Feature
    from training.finetune.metrics import majority_scores

    shape = {"single_label": (), "multi_label": (len(labels),)}.get(task, (1,))
    one = np.zeros(1, np.int64)
    row = Feature(one, one, np.zeros(shape, np.int64), 0, np.zeros((1, 2), np.int64))
    example = Example("x", "", (labels[0],), units=((0, 1),))
    return list(majority_scores(task, labels, [row], [example], [row]))
