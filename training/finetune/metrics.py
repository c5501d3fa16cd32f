"""Figures of a run, and what counts as a failed one."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from training.finetune.features import IGNORED, Feature
from training.tables import Example, Task

# A run within this of the majority class has learned nothing.
FAILED_MARGIN = 0.01


def primary_metric(task: Task, labels: Sequence[str]) -> str:
    """The figure that chooses checkpoints, where the configuration names none."""
    if task == "token_labels":
        return "entity_f1" if is_bio(labels) else "accuracy"
    return {"single_label": "accuracy", "multi_label": "micro_f1", "error_detection": "average_precision"}[
        task
    ]


def is_bio(labels: Sequence[str]) -> bool:
    """Whether labels are O, B-x and I-x."""
    return "O" in labels and all(label == "O" or label[:2] in ("B-", "I-") for label in labels)


def score(
    task: Task,
    labels: Sequence[str],
    examples: Sequence[Example],
    features: Sequence[Feature],
    logits: Sequence[np.ndarray],
) -> dict[str, float]:
    """Every figure of the task in 0..1; NaN for all of them where a logit is not finite.

    single_label: accuracy, macro_f1. multi_label (threshold 0.5): micro_f1, macro_f1, exact_match.
    token_labels: accuracy over units and, for BIO labels, entity_precision, entity_recall, entity_f1.
    error_detection, over tokens: average_precision, auroc, and precision, recall, f1 at threshold 0.5.
    """
    if task == "token_labels":
        figures = _token_scores(labels, examples, features, logits)
    elif task == "error_detection":
        asked = [feature.target != IGNORED for feature in features]
        wanted = np.concatenate([f.target[keep] for f, keep in zip(features, asked, strict=True)])
        given = np.concatenate([row[keep] for row, keep in zip(logits, asked, strict=True)])
        figures = _detection_scores(wanted, given)
    else:
        wanted = np.stack([feature.target for feature in features])
        given = np.stack(logits)
        figures = (_label_scores if task == "single_label" else _multi_scores)(wanted, given)
    if not all(np.isfinite(row).all() for row in logits):
        return dict.fromkeys(figures, math.nan)
    return figures


def _label_scores(wanted: np.ndarray, logits: np.ndarray) -> dict[str, float]:
    from sklearn.metrics import accuracy_score, f1_score

    given = logits.argmax(-1)
    return {
        "accuracy": float(accuracy_score(wanted, given)),
        "macro_f1": float(f1_score(wanted, given, average="macro", zero_division=0)),
    }


def _multi_scores(wanted: np.ndarray, logits: np.ndarray) -> dict[str, float]:
    from sklearn.metrics import accuracy_score, f1_score

    given = (logits > 0).astype(np.int64)
    true = wanted.astype(np.int64)
    there = np.flatnonzero((true | given).any(axis=0))  # as for single labels: those that occur
    macro = f1_score(true, given, average="macro", labels=there, zero_division=0) if len(there) else 0.0
    return {
        "micro_f1": float(f1_score(true, given, average="micro", zero_division=0)),
        "macro_f1": float(macro),
        "exact_match": float(accuracy_score(true, given)),
    }


def _detection_scores(wanted: np.ndarray, logits: np.ndarray) -> dict[str, float]:
    from sklearn.metrics import average_precision_score, precision_recall_fscore_support, roc_auc_score

    safe = np.nan_to_num(logits)
    precision, recall, f1, _ = precision_recall_fscore_support(
        wanted, safe > 0, average="binary", zero_division=0
    )
    both = 0 < wanted.sum() < len(wanted)
    return {
        "average_precision": float(average_precision_score(wanted, safe)) if wanted.any() else 0.0,
        "auroc": float(roc_auc_score(wanted, safe)) if both else 0.5,
        "precision": float(precision),
        "recall": float(recall),
        "f1": float(f1),
    }


def unit_labels(
    labels: Sequence[str],
    examples: Sequence[Example],
    features: Sequence[Feature],
    logits: Sequence[np.ndarray],
) -> list[list[str]]:
    """The predicted label of every unit; a unit without a token (white space) gets O, or the first label.

    Where one token holds several units, as a word among characters, an entity that begins with it goes on in
    the second of them.
    """
    blank = "O" if "O" in labels else labels[0]
    given = [[blank] * len(example.units) for example in examples]
    for feature, row in zip(features, logits, strict=True):
        best = row.argmax(-1)
        before = -1
        for unit, token in feature.units:
            label = labels[best[token]]
            inside = f"I-{label[2:]}"
            goes_on = token == before and label.startswith("B-") and inside in labels
            given[feature.example][unit] = inside if goes_on else label
            before = token
    return given


def _token_scores(
    labels: Sequence[str],
    examples: Sequence[Example],
    features: Sequence[Feature],
    logits: Sequence[np.ndarray],
) -> dict[str, float]:
    given = unit_labels(labels, examples, features, logits)
    wanted = [list(example.labels) for example in examples]
    pairs = [(w, g) for ws, gs in zip(wanted, given, strict=True) for w, g in zip(ws, gs, strict=True)]
    figures = {"accuracy": sum(w == g for w, g in pairs) / max(len(pairs), 1)}
    if is_bio(labels):
        true = {(at, *entity) for at, row in enumerate(wanted) for entity in entities(row)}
        found = {(at, *entity) for at, row in enumerate(given) for entity in entities(row)}
        hits = len(true & found)
        precision, recall = hits / max(len(found), 1), hits / max(len(true), 1)
        figures["entity_precision"], figures["entity_recall"] = precision, recall
        figures["entity_f1"] = 2 * precision * recall / max(precision + recall, 1e-12)
    return figures


def entities(labels: Sequence[str]) -> list[tuple[int, int, str]]:
    """Spans (start, end, kind) of a BIO row; a stray I- opens one, as in conlleval."""
    spans: list[tuple[int, int, str]] = []
    start, kind = 0, ""
    for at, label in enumerate([*labels, "O"]):
        continues = label[:2] == "I-" and label[2:] == kind
        if kind and not continues:
            spans.append((start, at, kind))
            kind = ""
        if label != "O" and not continues:
            start, kind = at, label[2:]
    return spans


def prior_logits(task: Task, labels: Sequence[str], train: Sequence[Feature]) -> np.ndarray:
    """Logits that know nothing but the shares of labels in train: ``[labels]``, or ``[]`` for detection."""
    targets = [feature.target for feature in train]
    if task == "multi_label":
        share = np.clip(np.stack(targets).mean(0), 1e-6, 1 - 1e-6)
        return np.log(share / (1 - share))
    flat = np.concatenate([np.atleast_1d(target) for target in targets])
    flat = flat[flat != IGNORED]
    if task == "error_detection":
        share = float(np.clip(flat.mean(), 1e-6, 1 - 1e-6))
        return np.asarray(math.log(share / (1 - share)))
    return np.log(np.bincount(flat, minlength=len(labels)) / len(flat) + 1e-9)


def majority_scores(
    task: Task,
    labels: Sequence[str],
    train: Sequence[Feature],
    examples: Sequence[Example],
    features: Sequence[Feature],
) -> dict[str, float]:
    """``score`` of always answering with the shares of train: the majority class."""
    prior = prior_logits(task, labels, train)
    if task in ("token_labels", "error_detection"):
        rows = [np.broadcast_to(prior, (len(feature), *prior.shape)) for feature in features]
    else:
        rows = [prior] * len(features)
    return score(task, labels, examples, features, rows)


def has_failed(figures: dict[str, float], majority: dict[str, float], metric: str) -> bool:
    """Whether a run ended at the level of the majority class, or not at a number."""
    return not figures[metric] > majority[metric] + FAILED_MARGIN


def averaged(task: Task, seeds: Sequence[Sequence[np.ndarray]]) -> list[np.ndarray]:
    """Soft vote: logits whose probabilities are the mean over ``seeds`` of the runs' probabilities."""
    rows = []
    for answers in zip(*seeds, strict=True):
        stack = np.stack(answers).astype(np.float64)
        if task in ("single_label", "token_labels"):
            stack = np.exp(stack - stack.max(-1, keepdims=True))
            rows.append(np.log((stack / stack.sum(-1, keepdims=True)).mean(0) + 1e-12))
        else:
            share = np.clip((1 / (1 + np.exp(-stack))).mean(0), 1e-7, 1 - 1e-7)
            rows.append(np.log(share / (1 - share)))
    return rows
