"""How well an encoder tells replaced or wrong words from right ones."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from app.tasks.detect.calibration import replaced_probabilities
from app.tasks.model import ServedModel
from training.errors import UserError
from training.evaluate.config import EvaluateConfig
from training.evaluate.detection_figures import DEFINITIONS, Curve, add_clean, add_errors
from training.evaluate.plots import precision_recall_plot, reliability_plot
from training.evaluate.report import Section
from training.evaluate.statistics import Reliability, reliability
from training.evaluate.text_corruption import SOURCES
from training.export.corruption import corrupt_with_generator, replaced_logits
from training.export.texts import read_documents, rows_of_text, sentences_of
from training.export.unit_scores import UnitScores, score_units
from training.tables import ORIGINAL, Example, read_table

_ROW_TOKENS = 126


def judge_real_errors(model: ServedModel, config: EvaluateConfig, plots: Path, *, progress: bool) -> Section:
    """The section on real errors and on clean text."""
    calibration = model.bundle.manifest.calibration
    assert calibration is not None
    section = Section(
        "Detection of real errors", text=[DEFINITIONS, f"Thresholds were fitted on {calibration.fitted_on}."]
    )
    curves: dict[str, Curve] = {}
    reliabilities: dict[str, Reliability] = {}
    names = _names([*config.errors, *config.clean])
    for path in config.errors:
        table = read_table(path, "error_detection", split="test", drop_empty=True)
        units = score_units(model, table.examples[: config.error_rows or None], progress=progress)
        name = names[path]
        if not units.wrong.any():
            raise UserError(f"{path}: marks no error; name it as clean, not as errors")
        curves[name] = add_errors(section, name, units, calibration.thresholds)
        reliabilities[name] = reliability(units.scores[units.scored], units.wrong[units.scored])
        section.figures[name]["ece"] = reliabilities[name].error
    for path in config.clean:
        _, examples = read_clean(path)
        units = score_units(model, examples[: config.error_rows or None], progress=progress)
        add_clean(section, names[path], units, calibration.thresholds)
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
            scores=replaced_probabilities(logits, calibration.temperature),
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
        curves[name] = add_errors(section, name, units, calibration.thresholds)
    precision_recall_plot(plots / "corrupted.png", curves)
    section.plots["corrupted.png"] = "precision and recall on corrupted text"
    return section


def some_texts(config: EvaluateConfig, limit: int = 1000) -> list[str]:
    """Texts of whatever data ``config`` names for detection, to time it on."""
    for path in config.errors:
        return read_table(path, "error_detection", split="test", drop_empty=True).texts[:limit]
    for path in config.clean:
        return [example.text for example in read_clean(path)[1]][:limit]
    return sentences_of(read_documents(config.heldout), limit)
