"""What is counted of flagged units, and how a report shows it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from sklearn.metrics import average_precision_score, precision_recall_curve, roc_auc_score

from app.bundle import Metric
from app.tasks.detect import ThresholdName
from training.evaluate.report import Cell, ReportTable, Section
from training.export.unit_scores import UnitScores

Curve = tuple[np.ndarray, np.ndarray]
"""Recall and precision at every threshold."""
DEFINITIONS = """\
Definitions. A *unit* is a character of Chinese (a word, where the data has words). A unit is *flagged* when
the service's score reaches the threshold; punctuation, URLs, emoji and words outside the vocabulary are
never flagged and count as misses where they are wrong. *Character level*: precision is the share of flagged
units that are wrong, recall the share of wrong units that are flagged; F1 and F0.5 (precision counts
double) are their weighted harmonic means. *Sentence level* (SIGHAN's detection level): a sentence is found
when its flagged units are exactly its wrong ones; precision is over sentences with any flag, recall over
sentences with any error. *False alarms*: the share of sentences without error in which anything is flagged,
and flagged units per thousand right ones."""


@dataclass(frozen=True)
class DetectionFigures:
    """At one threshold; see ``DEFINITIONS``. All 0 to 1, but ``flags_per_thousand``."""

    precision: float
    recall: float
    f1: float
    f05: float
    sentence_precision: float
    sentence_recall: float
    sentence_f1: float
    false_alarms: float | None
    flags_per_thousand: float


def figures_at(units: UnitScores, threshold: float) -> DetectionFigures:
    """Both levels of detection at ``threshold``; ``false_alarms`` is None where every text has an error."""
    flagged = units.scored & (units.scores >= threshold)
    hits = int((flagged & units.wrong).sum())
    precision, recall = hits / max(int(flagged.sum()), 1), hits / max(int(units.wrong.sum()), 1)
    any_flag = np.bincount(units.text, flagged, minlength=units.texts) > 0
    any_difference = np.bincount(units.text, flagged != units.wrong, minlength=units.texts) > 0
    any_error = units.sentence_labels()
    found = int((any_error & ~any_difference).sum())
    sentence_precision = found / max(int(any_flag.sum()), 1)
    sentence_recall = found / max(int(any_error.sum()), 1)
    clean = ~any_error
    right = ~units.wrong
    return DetectionFigures(
        precision=precision,
        recall=recall,
        f1=f_beta(precision, recall, 1.0),
        f05=f_beta(precision, recall, 0.5),
        sentence_precision=sentence_precision,
        sentence_recall=sentence_recall,
        sentence_f1=f_beta(sentence_precision, sentence_recall, 1.0),
        false_alarms=float(any_flag[clean].mean()) if clean.any() else None,
        flags_per_thousand=1000 * int((flagged & right).sum()) / max(int(right.sum()), 1),
    )


def f_beta(precision: float, recall: float, beta: float) -> float:
    """The weighted harmonic mean; 0 where both are 0."""
    weight = beta * beta
    return (1 + weight) * precision * recall / max(weight * precision + recall, 1e-12)


def add_errors(
    section: Section, name: str, units: UnitScores, thresholds: Mapping[ThresholdName, float]
) -> Curve:
    """Add table, figures and metrics of texts with errors to ``section``; returns recall and precision."""
    auroc = float(roc_auc_score(units.wrong, units.scores))
    precision = float(average_precision_score(units.wrong, units.scores))
    share = float(units.wrong.mean())
    at = {threshold: figures_at(units, value) for threshold, value in thresholds.items()}
    header = [
        "threshold",
        "P",
        "R",
        "F1",
        "F0.5",
        "sentence P",
        "sentence R",
        "sentence F1",
        "false alarms",
        "per 1000",
    ]
    rows: list[list[Cell]] = [
        [f"{threshold} ({thresholds[threshold]:.3f})", *("" if v is None else v for v in vars(own).values())]
        for threshold, own in at.items()
    ]
    caption = (
        f"{name}: {units.texts} texts, {len(units.wrong)} units, {share:.2%} wrong; "
        f"AUROC {auroc:.4f}, AP {precision:.4f}"
    )
    section.tables.append(ReportTable(caption, header, rows))
    section.figures[name] = {
        "texts": units.texts,
        "units": len(units.wrong),
        "share_wrong": share,
        "auroc": auroc,
        "average_precision": precision,
        "thresholds": {threshold: vars(own) for threshold, own in at.items()},
    }
    values = {
        "auroc": auroc,
        "average_precision": precision,
        "f1 (balanced)": at["balanced"].f1,
        "f0.5 (precise)": at["precise"].f05,
        "sentence f1 (balanced)": at["balanced"].sentence_f1,
    }
    section.metrics += [
        Metric(data_set=name, split=section.title, n=units.texts, metric=metric, value=value)
        for metric, value in values.items()
    ]
    curve_precision, recall, _ = precision_recall_curve(units.wrong, units.scores)
    return recall, curve_precision


def add_clean(
    section: Section, name: str, units: UnitScores, thresholds: Mapping[ThresholdName, float]
) -> None:
    """Add table, figures and metrics of texts without errors to ``section``."""
    at = {threshold: figures_at(units, value) for threshold, value in thresholds.items()}
    rows: list[list[Cell]] = [
        [f"{threshold} ({thresholds[threshold]:.3f})", own.false_alarms or 0.0, own.flags_per_thousand]
        for threshold, own in at.items()
    ]
    caption = f"{name}: {units.texts} texts without errors; every flag is a false one"
    section.tables.append(ReportTable(caption, ["threshold", "false alarms", "per 1000"], rows))
    section.figures[name] = {
        "texts": units.texts,
        "thresholds": {
            threshold: {"false_alarms": own.false_alarms, "flags_per_thousand": own.flags_per_thousand}
            for threshold, own in at.items()
        },
    }
    section.metrics += [
        Metric(
            data_set=name,
            split=section.title,
            n=units.texts,
            metric=f"false alarms ({threshold})",
            value=own.false_alarms or 0.0,
        )
        for threshold, own in at.items()
    ]


def headline(sections: Sequence[Section]) -> list[str]:
    """The two sentences that users of detection ask for first: F1 and false alarms."""
    lines = []
    for section in sections:
        for name, figures in section.figures.items():
            if name == "generator":
                continue
            balanced = figures["thresholds"]["balanced"]
            if "auroc" in figures:
                lines.append(
                    f"{name}: F1 {balanced['f1']:.3f} (precision {balanced['precision']:.3f}, recall "
                    f"{balanced['recall']:.3f}) at `balanced`, AUROC {figures['auroc']:.3f}"
                )
            else:
                precise = figures["thresholds"]["precise"]
                lines.append(
                    f"{name}: false alarms in {balanced['false_alarms']:.1%} of clean sentences at "
                    f"`balanced`, {precise['false_alarms']:.1%} at `precise`"
                )
    return lines
