"""How well an encoder tells replaced or wrong words from right ones."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from sklearn.metrics import average_precision_score, precision_recall_curve, roc_auc_score

from app.bundle import Metric
from app.tasks.model import ServedModel
from training.errors import UserError
from training.evaluate.config import EvaluateConfig
from training.evaluate.corruption import corrupt_with_generator, replaced_logits
from training.evaluate.plots import precision_recall_plot, reliability_plot
from training.evaluate.report import Cell, ReportTable, Section
from training.evaluate.statistics import Reliability, reliability
from training.evaluate.text_corruption import SOURCES
from training.evaluate.unit_scores import UnitScores, score_units
from training.export.calibration import sigmoid
from training.export.texts import read_documents, rows_of_text, sentences_of
from training.tables import ORIGINAL, Example, read_table

_ROW_TOKENS = 126
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


def judge_real_errors(model: ServedModel, config: EvaluateConfig, plots: Path, *, progress: bool) -> Section:
    """The section on real errors and on clean text."""
    calibration = model.bundle.manifest.calibration
    assert calibration is not None
    section = Section(
        "Detection of real errors", text=[DEFINITIONS, f"Thresholds were fitted on {calibration.fitted_on}."]
    )
    curves: dict[str, tuple[np.ndarray, np.ndarray]] = {}
    reliabilities: dict[str, Reliability] = {}
    names = _names([*config.errors, *config.clean])
    for path in config.errors:
        table = read_table(path, "error_detection", split="test", drop_empty=True)
        units = score_units(model, table.examples[: config.error_rows or None], progress=progress)
        name = names[path]
        if not units.wrong.any():
            raise UserError(f"{path}: marks no error; name it as clean, not as errors")
        _add_errors(section, name, units, calibration.thresholds)
        precision, recall, _ = precision_recall_curve(units.wrong, units.scores)
        curves[name] = (recall, precision)
        reliabilities[name] = reliability(units.scores[units.scored], units.wrong[units.scored])
        section.figures[name]["ece"] = reliabilities[name].error
    for path in config.clean:
        _, examples = read_clean(path)
        units = score_units(model, examples[: config.error_rows or None], progress=progress)
        _add_clean(section, names[path], units, calibration.thresholds)
    if curves:
        precision_recall_plot(plots / "errors.png", curves)
        reliability_plot(plots / "errors_reliability.png", reliabilities)
        section.plots |= {"errors.png": "precision and recall", "errors_reliability.png": "reliability"}
    return section


def _names(paths: Sequence[str]) -> dict[str, str]:
    """``data_set_name`` of each, with the folder above where two would be called the same.

    Raises:
        UserError: a file that is named twice, or two whose folders have one name too.
    """
    for path in paths:
        if paths.count(path) > 1:
            raise UserError(f"errors, clean: {path} is named twice; name it once")
    plain = {path: data_set_name(Path(path)) for path in paths}
    shared = [name for name, times in Counter(plain.values()).items() if times > 1]
    names = {
        path: f"{Path(path).resolve().parent.name}/{name}" if name in shared else name
        for path, name in plain.items()
    }
    for name, times in Counter(names.values()).items():
        if times > 1:
            raise UserError(f"errors, clean: {times} files are called {name}; rename them")
    return names


def data_set_name(path: Path) -> str:
    """The file's name without its endings."""
    return path.name.split(".")[0]


def read_clean(path: str) -> tuple[str, list[Example]]:
    """Name and sentences of text without errors: rows of a table, or the sentences of running text.

    Raises:
        UserError: unreadable, or a row with an error marked.
    """
    name = data_set_name(Path(path))
    if ".txt" in Path(path).suffixes or Path(path).is_dir():
        return name, [
            Example(text, name, (ORIGINAL,) * len(text), units=tuple((i, i + 1) for i in range(len(text))))
            for text in sentences_of(read_documents([path]))
        ]
    table = read_table(path, "error_detection", split="test", drop_empty=True)
    for example in table.examples:
        if any(label != ORIGINAL for label in example.labels):
            raise UserError(f"{table.path}, {example.place}: has an error marked; clean text has none")
    return name, table.examples


def judge_corrupted(model: ServedModel, config: EvaluateConfig, plots: Path, *, progress: bool) -> Section:
    """The section on held-out text corrupted by the bundle's own generator and by unseen sources."""
    calibration = model.bundle.manifest.calibration
    assert calibration is not None
    documents = read_documents(config.heldout)
    rows = rows_of_text(documents, model.encoder, _ROW_TOKENS, config.heldout_sentences)
    if not rows:
        raise UserError("heldout: no sentence of 8 characters or more; name running text")
    section = Section(
        "Replaced-token detection on corrupted held-out text",
        text=[
            "Own generator: 15 % of the tokens masked and filled with its samples, as in pretraining; "
            "figures are over tokens. The other sources were never seen in training; figures are over "
            "characters. AUROC: area under the ROC curve; AP: average precision (of chance: the share wrong)."
        ],
    )
    scores: dict[str, UnitScores] = {}
    if model.has_generator:
        corrupted, accuracy = asyncio.run(corrupt_with_generator(model, rows, config.seed))
        logits, replaced = asyncio.run(replaced_logits(model, corrupted))
        counts = [int(row.scored.sum()) for row in corrupted]
        scores["own generator"] = UnitScores(
            scores=sigmoid(logits / calibration.temperature),
            wrong=replaced,
            scored=np.ones(len(replaced), bool),
            text=np.repeat(np.arange(len(counts)), counts),
            texts=len(counts),
        )
        section.figures["generator"] = vars(accuracy)
        section.text.append(
            f"The generator's first guess is right at {accuracy.top1:.1%} of {accuracy.positions} masked "
            f"places, one of its first ten at {accuracy.top10:.1%}."
        )
    sentences = sentences_of(documents, config.heldout_sentences)
    for name, corrupt in SOURCES.items():
        examples = corrupt(sentences, config.seed)
        if examples:
            scores[name] = score_units(model, examples, progress=progress)
    curves = {}
    for name, units in scores.items():
        _add_errors(section, name, units, calibration.thresholds)
        precision, recall, _ = precision_recall_curve(units.wrong, units.scores)
        curves[name] = (recall, precision)
    precision_recall_plot(plots / "corrupted.png", curves)
    section.plots["corrupted.png"] = "precision and recall on corrupted text"
    return section


def _add_errors(section: Section, name: str, units: UnitScores, thresholds: dict) -> None:  # type: ignore[type-arg]
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


def _add_clean(section: Section, name: str, units: UnitScores, thresholds: dict) -> None:  # type: ignore[type-arg]
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


def some_texts(config: EvaluateConfig, limit: int = 1000) -> list[str]:
    """Texts of whatever data ``config`` names for detection, to time it on."""
    for path in config.errors:
        return read_table(path, "error_detection", split="test", drop_empty=True).texts[:limit]
    for path in config.clean:
        return [example.text for example in read_clean(path)[1]][:limit]
    return sentences_of(read_documents(config.heldout), limit)


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
