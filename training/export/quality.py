"""What each precision is worth, measured as it is served, and the gate that refuses a loss."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from sklearn.metrics import average_precision_score, f1_score, roc_auc_score

from app.bundle import Measured
from app.scheduler.engine import RequestContext
from app.tasks.classify import classify
from app.tasks.model import ServedModel
from app.text.encoder import Encoded
from training.errors import UserError, naming_rows
from training.export.config import ExportConfig
from training.export.corruption import CorruptedRow, corrupt_with_generator, replaced_logits
from training.tables import Columns, Table, Task, read_table
from training.tables.checks import check_label_names

Quality = dict[str, float]
_TEXTS_AT_ONCE = 512


@dataclass(frozen=True)
class Refusal:
    """A precision that loses more than it may."""

    numbers: Measured
    metric: str
    reference: float
    value: float
    limit: float

    def __str__(self) -> str:
        loss = self.reference - self.value
        return (
            f"{self.numbers} has {self.metric} {self.value:.4f} against {self.reference:.4f} of fp32: "
            f"it loses {loss:.4f}, more than {self.limit:g}"
        )


def gate(quality: Mapping[Measured, Quality], numbers: Measured, config: ExportConfig) -> Refusal | None:
    """The first metric in which ``numbers`` lose more against fp32 than ``config`` allows, or None.

    ``agreement`` is with fp32 itself, and bounds the loss of accuracy on the same texts.
    """
    limits = {
        "accuracy": config.max_accuracy_loss,
        "agreement": config.max_accuracy_loss,
        "masked_accuracy": config.max_accuracy_loss,
        "auroc": config.max_auroc_loss,
    }
    reference, found = quality["fp32"], quality[numbers]
    for metric, limit in limits.items():
        # A margin for the rounding of shares: 0.9970 against 1.0000 loses 0.003, not more.
        if metric in found and reference[metric] - found[metric] > limit + 1e-9:
            return Refusal(numbers, metric, reference[metric], found[metric], limit)
    return None


def read_test_table(
    path: str,
    labels: Sequence[str],
    multi_label: bool,
    rows: int,
    label_names: dict[str, str] | None = None,
    columns: Columns | None = None,
) -> Table:
    """A labelled table for a classifier with ``labels``, its first ``rows`` examples.

    ``label_names`` renames labels of the file, as fine-tuning did.

    Raises:
        UserError: unreadable, a label that the classifier does not know, or ``label_names`` that rename
            nothing.
    """
    task: Task = "multi_label" if multi_label else "single_label"
    table = read_table(path, task, columns, drop_empty=True, split="test", label_names=label_names)
    check_label_names([table], label_names or {}, may_lack=True)
    known = set(labels)
    for example in table.examples:
        for label in example.labels:
            if label not in known:
                raise UserError(
                    f"{table.path}, {example.place}: label {label!r} is none of the classifier's "
                    f"({', '.join(labels[:8])}{', …' if len(labels) > 8 else ''}); name its new "
                    "name in label_names"
                )
    return Table(table.path, table.examples[:rows], table.digest, table.warnings)


def predictions(
    model: ServedModel,
    texts: Sequence[str],
    pairs: Sequence[str] | None,
    places: Sequence[str] | None = None,
) -> np.ndarray:
    """Probabilities float64 ``[texts, labels]``, through the code of ``POST /classify``: a text that is too
    long for the model is read in windows. Pairs are cut, since the service refuses those of two long texts.

    Raises:
        UserError: a text that the service refuses, by its entry of ``places``.
    """
    places = places or [f"text {number}" for number in range(1, len(texts) + 1)]
    rows: list[list[float]] = []
    for start in range(0, len(texts), _TEXTS_AT_ONCE):
        part = slice(start, start + _TEXTS_AT_ONCE)
        with naming_rows(places[part]):
            answers = asyncio.run(
                classify(
                    model,
                    list(texts[part]),
                    text_pair=None if pairs is None else list(pairs[part]),
                    truncate=pairs is not None,
                    context=RequestContext(),
                )
            )
        rows.extend(answer.probs for answer in answers)
    return np.array(rows)


def classifier_quality(model: ServedModel, table: Table) -> Quality:
    """``accuracy`` (of several labels: of the exact set) and ``macro_f1`` on ``table``."""
    labels = model.bundle.manifest.labels
    places = [f"{table.path}, {example.place}" for example in table.examples]
    probabilities = predictions(model, table.texts, table.pairs, places)
    if model.bundle.manifest.problem_type == "multi_label":
        truth = np.array([[label in example.labels for label in labels] for example in table.examples])
        chosen = probabilities >= 0.5
        accuracy = float((truth == chosen).all(axis=1).mean())
        there = np.flatnonzero((truth | chosen).any(axis=0))
        f1 = f1_score(truth, chosen, average="macro", labels=there, zero_division=0.0) if len(there) else 0.0
    else:
        index = {label: position for position, label in enumerate(labels)}
        truth = np.array([index[label] for label in table.labels])
        chosen = probabilities.argmax(axis=1)
        accuracy = float((truth == chosen).mean())
        f1 = f1_score(truth, chosen, average="macro", zero_division=0.0)
    return {"accuracy": accuracy, "macro_f1": float(f1)}


def agreement(reference: np.ndarray, probabilities: np.ndarray, multi_label: bool) -> Quality:
    """Share of texts with the same decision as ``reference``, both ``[texts, labels]``."""
    if multi_label:
        same = ((reference >= 0.5) == (probabilities >= 0.5)).all(axis=1)
    else:
        same = reference.argmax(axis=1) == probabilities.argmax(axis=1)
    return {"agreement": float(same.mean())}


def detector_quality(model: ServedModel, rows: Sequence[CorruptedRow]) -> Quality:
    """``auroc`` and ``average_precision`` of telling replaced tokens from original ones."""
    logits, replaced = asyncio.run(replaced_logits(model, rows))
    return {
        "auroc": float(roc_auc_score(replaced, logits)),
        "average_precision": float(average_precision_score(replaced, logits)),
    }


def generator_quality(model: ServedModel, rows: Sequence[Encoded], seed: int) -> Quality:
    """``masked_accuracy``: right first guesses at masked places; ``masked_top10``: right among ten."""
    _, accuracy = asyncio.run(corrupt_with_generator(model, rows, seed))
    return {"masked_accuracy": accuracy.top1, "masked_top10": accuracy.top10}
