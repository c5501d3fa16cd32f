"""How well a classifier classifies, beside the baselines on the same rows."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.metrics import confusion_matrix, precision_recall_fscore_support

from app.bundle import Metric
from app.tasks.model import ServedModel
from training.baselines import Majority, TfidfLogistic
from training.errors import UserError
from training.evaluate.config import EvaluateConfig
from training.evaluate.labelled_set import LabelledSet, pairs_of
from training.evaluate.plots import confusion_plot, reliability_plot
from training.evaluate.report import Cell, ReportTable, Section
from training.evaluate.statistics import Interval, Reliability, bootstrap, macro_f1_of, mcnemar, reliability
from training.export.quality import predictions

TFIDF, MAJORITY = "TF-IDF + logistic regression", "majority class"


def judge_classifier(
    model: ServedModel, test: LabelledSet, config: EvaluateConfig, plots: Path
) -> tuple[Section, np.ndarray]:
    """The section on classification, and the probabilities ``[rows, labels]`` that it rests on."""
    probabilities = predictions(model, test.texts, test.pairs, test.places)
    several = model.bundle.manifest.problem_type == "multi_label"
    labels = model.bundle.manifest.labels
    chosen = decisions(probabilities, several)
    section = Section(f"Classification on {test.name} ({test.split}, {len(test.examples)} rows)")
    figures = {"bundle": _figures(test.truth, chosen, config)}
    curves = {"bundle": _reliability(probabilities, test.truth, several)}
    right = {"bundle": (chosen == test.truth).all(axis=1)}
    for name, theirs in _baselines(test, labels, several).items():
        figures[name] = _figures(test.truth, decisions(theirs, several), config)
        if name == TFIDF:
            curves[name] = _reliability(theirs, test.truth, several)
            right[name] = (decisions(theirs, several) == test.truth).all(axis=1)
            section.figures["paired"] = _paired(right, slice(None), config)
    section.tables.append(_overview(figures, curves))
    if len(test.tables) > 1:
        section.figures["tables"] = _by_table(test, right, config)
        section.tables.append(_table_of_tables(section.figures["tables"]))
    section.tables.append(_per_class(test.truth, chosen, labels))
    reliability_plot(plots / "reliability.png", curves)
    section.plots["reliability.png"] = "reliability diagram"
    if not several:
        matrix = confusion_matrix(test.truth.argmax(1), chosen.argmax(1), labels=range(len(labels)))
        confusion_plot(plots / "confusion.png", matrix, labels)
        section.plots["confusion.png"] = "confusion matrix"
        section.figures["confusion"] = matrix.tolist()
        if len(labels) <= 20:
            rows: list[list[Cell]] = [[label, *map(int, matrix[index])] for index, label in enumerate(labels)]
            section.tables.append(ReportTable("Confusion: true (rows), predicted", ["", *labels], rows))
    section.figures |= {name: {k: vars(v) for k, v in own.items()} for name, own in figures.items()}
    section.figures["ece"] = {name: curve.error for name, curve in curves.items()}
    section.metrics = _metrics(
        test, figures, curves["bundle"].error, section.figures.get("paired", {}).get("p")
    )
    section.metrics += [
        Metric(
            data_set=own["data_set"],
            split=own["split"],
            n=own["rows"],
            metric="accuracy",
            value=own["bundle"],
            baseline=TFIDF if TFIDF in own else None,
            baseline_value=own.get(TFIDF),
            baseline_p=own.get("p"),
        )
        for own in section.figures.get("tables", ())
    ]
    section.text.append(
        "Intervals are 95 % bootstrap percentiles over rows. ECE: expected calibration error of the first "
        "label's probability, 15 bins." + (" Accuracy is of the exact label set." if several else "")
    )
    return section, probabilities


def decisions(probabilities: np.ndarray, several: bool) -> np.ndarray:
    """bool ``[rows, labels]``: the most probable label, or all of at least 0.5."""
    if several:
        return probabilities >= 0.5
    return np.eye(probabilities.shape[1], dtype=bool)[probabilities.argmax(axis=1)]


def _figures(truth: np.ndarray, chosen: np.ndarray, config: EvaluateConfig) -> dict[str, Interval]:
    right = (truth == chosen).all(axis=1).astype(float)
    own = {"resamplings": config.resamplings, "seed": config.seed}
    return {
        "accuracy": bootstrap(lambda index: float(right[index].mean()), len(right), **own),
        "macro_f1": bootstrap(macro_f1_of(truth, chosen), len(right), **own),
    }


def _reliability(probabilities: np.ndarray, truth: np.ndarray, several: bool) -> Reliability:
    if several:
        return reliability(probabilities.ravel(), truth.ravel())
    first = probabilities.argmax(axis=1)
    rows = np.arange(len(first))
    return reliability(probabilities[rows, first], truth[rows, first])


def _baselines(test: LabelledSet, labels: Sequence[str], several: bool) -> dict[str, np.ndarray]:
    """Probabilities ``[rows, labels]`` of each baseline, fitted on the train rows."""
    if not test.train:
        return {}
    texts, pairs = [example.text for example in test.train], pairs_of(test.train)
    found: dict[str, np.ndarray] = {}
    if several:
        tfidf = TfidfLogistic.fit_multi_label(texts, [e.labels for e in test.train], labels, pairs)
        share = np.mean([[label in e.labels for label in labels] for e in test.train], axis=0)
        found[MAJORITY] = np.tile(share, (len(test.examples), 1))
    else:
        train_labels = [example.label for example in test.train]
        try:
            tfidf = TfidfLogistic.fit(texts, train_labels, pairs)
        except ValueError as error:
            raise UserError(f"train: {error}; give rows with text, of two labels or more") from None
        majority = Majority.fit(train_labels)
        found[MAJORITY] = _in_order(majority.probabilities(len(test.examples)), majority.labels, labels)
    found[TFIDF] = _in_order(tfidf.probabilities(test.texts, test.pairs), tfidf.labels, labels)
    return found


def _in_order(probabilities: np.ndarray, theirs: Sequence[str], labels: Sequence[str]) -> np.ndarray:
    ordered = np.zeros((len(probabilities), len(labels)))
    for column, label in enumerate(theirs):
        ordered[:, labels.index(label)] = probabilities[:, column]
    return ordered


def _paired(right: dict[str, np.ndarray], rows: slice, config: EvaluateConfig) -> dict[str, Any]:
    """Whether the bundle is better than TF-IDF + logistic regression on ``rows``."""
    own = {"resamplings": config.resamplings, "seed": config.seed}
    paired = mcnemar(right[TFIDF][rows], right["bundle"][rows], **own)
    return {"p": paired.p, "test": paired.test, "verdict": paired.verdict}


def _by_table(
    test: LabelledSet, right: dict[str, np.ndarray], config: EvaluateConfig
) -> list[dict[str, Any]]:
    """Accuracy on each test table, and the paired test on its rows."""
    found = []
    for table in test.tables:
        figures = {"data_set": table.name, "split": table.split, "rows": len(test.examples[table.rows])}
        figures |= {name: float(own[table.rows].mean()) for name, own in right.items()}
        found.append(figures | (_paired(right, table.rows, config) if TFIDF in right else {}))
    return found


def _table_of_tables(figures: Sequence[dict[str, Any]]) -> ReportTable:
    beside = TFIDF in figures[0]
    rows = [
        [own["data_set"], own["split"], own["rows"], own["bundle"]]
        + ([own[TFIDF], f"{own['p']:.2g}", own["verdict"]] if beside else [])
        for own in figures
    ]
    header = ["", "split", "rows", "accuracy", *([TFIDF, "p", "paired test"] if beside else [])]
    return ReportTable("By test table", header, rows)


def _overview(figures: dict[str, dict[str, Interval]], curves: dict[str, Reliability]) -> ReportTable:
    rows = [
        [name, str(own["accuracy"]), str(own["macro_f1"]), curves[name].error if name in curves else ""]
        for name, own in figures.items()
    ]
    return ReportTable("Against the baselines", ["", "accuracy", "macro F1", "ECE"], rows)


def _per_class(truth: np.ndarray, chosen: np.ndarray, labels: Sequence[str]) -> ReportTable:
    precision, recall, f1, support = precision_recall_fscore_support(
        truth, chosen, average=None, zero_division=0.0
    )
    rows: list[list[Cell]] = [
        [label, float(precision[i]), float(recall[i]), float(f1[i]), int(support[i])]
        for i, label in enumerate(labels)
    ]
    return ReportTable("Per class", ["label", "precision", "recall", "F1", "rows"], rows)


def _metrics(
    test: LabelledSet, figures: dict[str, dict[str, Interval]], ece: float, p: float | None
) -> list[Metric]:
    """``p``: of the paired test, which counts right rows: it speaks of accuracy, not of F1."""
    baseline = TFIDF if TFIDF in figures else None
    shared = {"data_set": test.name, "split": test.split, "n": len(test.examples)}
    metrics = [
        Metric(
            metric=name,
            value=figures["bundle"][name].value,
            baseline=baseline,
            baseline_value=figures[baseline][name].value if baseline else None,
            baseline_p=p if name == "accuracy" else None,
            **shared,
        )
        for name in ("accuracy", "macro_f1")
    ]
    return [*metrics, Metric(metric="expected_calibration_error", value=ece, **shared)]
