"""How well a classifier classifies, beside the baselines on the same rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from sklearn.metrics import confusion_matrix, f1_score, precision_recall_fscore_support

from app.bundle import Metric
from app.tasks.model import ServedModel
from training.baselines import Majority, TfidfLogistic
from training.errors import UserError
from training.evaluate.config import EvaluateConfig
from training.evaluate.plots import confusion_plot, reliability_plot
from training.evaluate.report import ReportTable, Section
from training.evaluate.statistics import Interval, Reliability, bootstrap, mcnemar, reliability
from training.export.quality import predictions
from training.table_checks import check_overlap, join_tables
from training.tables import Example, read_table

TFIDF, MAJORITY = "TF-IDF + logistic regression", "majority class"


@dataclass(frozen=True, eq=False)
class LabelledSet:
    """Labelled rows that a classifier is judged on.

    Attributes:
        name, split: of the file, such as ``chnsenticorp`` and ``test``.
        truth: bool ``[rows, labels]``; one per row for single labels.
        train: rows for the baselines, empty where none are given.
        warnings: what is wrong with the data, in lines.
    """

    name: str
    split: str
    examples: list[Example]
    truth: np.ndarray
    train: list[Example]
    warnings: list[str]

    @property
    def texts(self) -> list[str]:
        return [example.text for example in self.examples]

    @property
    def pairs(self) -> list[str] | None:
        return _pairs(self.examples)


def read_test_set(model: ServedModel, config: EvaluateConfig) -> LabelledSet:
    """The test table of ``config`` (and the train tables) in terms of the bundle's labels.

    Raises:
        UserError: no test table, one that cannot be read, or a label that the classifier does not know.
    """
    manifest = model.bundle.manifest
    if config.test is None:
        raise UserError(f"{manifest.name}: is a classifier; name a labelled table as test")
    task = "multi_label" if manifest.problem_type == "multi_label" else "single_label"
    path = Path(config.test)
    test, *train = [
        read_table(name, task, config.columns, drop_empty=True, split=split, label_names=config.label_names)
        for name, split in ((path, "test"), *((Path(name), "train") for name in config.train))
    ]
    examples = test.examples[: config.rows or None]
    train_rows = [example for table in train for example in table.examples]
    known = set(manifest.labels)
    for table, rows in ((test, examples), *((table, table.examples) for table in train)):
        for example in rows:
            unknown = [label for label in example.labels if label not in known]
            if unknown:
                raise UserError(
                    f"{table.path}, {example.place}: label {unknown[0]!r} is none of {manifest.name}'s "
                    f"({', '.join(manifest.labels[:8])}); name its new name in label_names"
                )
    warnings = [line for table in (test, *train) for line in table.warnings]
    if train_rows:
        warnings += check_overlap(join_tables(train), {"test": join_tables([test])[: config.rows or None]})[1]
    truth = np.array([[label in example.labels for label in manifest.labels] for example in examples])
    name, split = data_set_name(path)
    return LabelledSet(name, split, examples, truth, train_rows, warnings)


def data_set_name(path: Path) -> tuple[str, str]:
    """A name and a split: ``cls/waimai/test.tsv`` is (waimai, test), ``mine.tsv`` is (mine, all)."""
    stem = path.name.split(".")[0]
    if stem in ("train", "dev", "test", "train_nodup"):
        return path.resolve().parent.name, stem
    return stem, "all"


def judge_classifier(
    model: ServedModel, test: LabelledSet, config: EvaluateConfig, plots: Path
) -> tuple[Section, np.ndarray]:
    """The section on classification, and the probabilities ``[rows, labels]`` that it rests on."""
    probabilities = predictions(model, test.texts, test.pairs)
    several = model.bundle.manifest.problem_type == "multi_label"
    labels = model.bundle.manifest.labels
    chosen = decisions(probabilities, several)
    section = Section(f"Classification on {test.name} ({test.split}, {len(test.examples)} rows)")
    figures = {"bundle": _figures(test.truth, chosen, several, config)}
    curves = {"bundle": _reliability(probabilities, test.truth, several)}
    for name, theirs in _baselines(test, labels, several).items():
        figures[name] = _figures(test.truth, decisions(theirs, several), several, config)
        if name == TFIDF:
            curves[name] = _reliability(theirs, test.truth, several)
            right = [(of == test.truth).all(axis=1) for of in (decisions(theirs, several), chosen)]
            paired = mcnemar(right[0], right[1], resamplings=config.resamplings, seed=config.seed)
            section.figures["paired"] = {"p": paired.p, "test": paired.test, "verdict": paired.verdict}
    section.tables.append(_overview(figures, curves))
    section.tables.append(_per_class(test.truth, chosen, labels))
    reliability_plot(plots / "reliability.png", curves)
    section.plots["reliability.png"] = "reliability diagram"
    if not several:
        matrix = confusion_matrix(test.truth.argmax(1), chosen.argmax(1), labels=range(len(labels)))
        confusion_plot(plots / "confusion.png", matrix, labels)
        section.plots["confusion.png"] = "confusion matrix"
        section.figures["confusion"] = matrix.tolist()
        if len(labels) <= 20:
            rows = [[label, *map(int, matrix[index])] for index, label in enumerate(labels)]
            section.tables.append(ReportTable("Confusion: true (rows), predicted", ["", *labels], rows))
    section.figures |= {name: {k: vars(v) for k, v in own.items()} for name, own in figures.items()}
    section.figures["ece"] = {name: curve.error for name, curve in curves.items()}
    section.metrics = _metrics(test, figures, curves["bundle"].error)
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


def macro_f1(truth: np.ndarray, chosen: np.ndarray) -> float:
    """Mean F1 over labels, of bool ``[rows, labels]``; a label that never occurs counts as 0."""
    return float(f1_score(truth, chosen, average="macro", zero_division=0.0))


def _pairs(examples: Sequence[Example]) -> list[str] | None:
    if any(example.text_pair is None for example in examples):
        return None
    return [example.text_pair or "" for example in examples]


def _figures(
    truth: np.ndarray, chosen: np.ndarray, several: bool, config: EvaluateConfig
) -> dict[str, Interval]:
    right = (truth == chosen).all(axis=1).astype(float)
    # Counted once, so that each of a thousand resamplings is a few matrix products.
    true, predicted = truth.astype(np.float64), chosen.astype(np.float64)
    both = true * predicted

    def macro(index: np.ndarray) -> float:
        weight = np.bincount(index, minlength=len(truth)).astype(np.float64)
        hits, sizes = weight @ both, weight @ true + weight @ predicted
        return float(np.mean(2 * hits / np.maximum(sizes, 1)))

    own = {"resamplings": config.resamplings, "seed": config.seed}
    return {
        "accuracy": bootstrap(lambda index: float(right[index].mean()), len(right), **own),
        "macro_f1": bootstrap(macro, len(right), **own),
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
    texts, pairs = [example.text for example in test.train], _pairs(test.train)
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
    rows = [
        [label, float(precision[i]), float(recall[i]), float(f1[i]), int(support[i])]
        for i, label in enumerate(labels)
    ]
    return ReportTable("Per class", ["label", "precision", "recall", "F1", "rows"], rows)


def _metrics(test: LabelledSet, figures: dict[str, dict[str, Interval]], ece: float) -> list[Metric]:
    baseline = TFIDF if TFIDF in figures else None
    shared = {"data_set": test.name, "split": test.split, "n": len(test.examples)}
    metrics = [
        Metric(
            metric=name,
            value=figures["bundle"][name].value,
            baseline=baseline,
            baseline_value=figures[baseline][name].value if baseline else None,
            **shared,
        )
        for name in ("accuracy", "macro_f1")
    ]
    return [*metrics, Metric(metric="expected_calibration_error", value=ece, **shared)]
