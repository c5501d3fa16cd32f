"""How good summaries are: ROUGE of every method and pooling, beside what needs no model."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from app.bundle import Metric
from app.scheduler.engine import RequestContext
from app.tasks.model import ServedModel
from app.tasks.summarize import SummarizeOptions, summarize
from app.text.sentences import split_sentences
from training.errors import UserError
from training.evaluate.caching import with_cache
from training.evaluate.config import EvaluateConfig
from training.evaluate.labelled_set import name_and_split
from training.evaluate.plots import bars_plot
from training.evaluate.report import Cell, ReportTable, Section
from training.evaluate.statistics import PairedTest, mean_interval, mean_of, paired_bootstrap
from training.evaluate.summary_baselines import BASELINES
from training.rouge import Rouge, rouge
from training.tables.files import read_rows
from training.tokenizer import is_blank

_DOCUMENTS_AT_ONCE = 16
_METHODS = ("kmeans", "centroid", "textrank", "scorer")
_NOTE = (
    "ROUGE F-measures, by character for Chinese and by word for other scripts, mean over documents. Every "
    "system chooses the same number of sentences ({count}) from the same ones. `oracle` sees the reference: "
    "no choice of sentences should be expected to beat it. `lead` is the bar."
)


@dataclass(frozen=True)
class SummarySet:
    """Documents with reference summaries."""

    name: str
    split: str
    documents: list[str]
    references: list[str]


def read_summary_set(path: str, limit: int = 0, part: str = "test") -> SummarySet:
    """Read a table with columns ``document`` and ``summary``; at most ``limit`` rows (0: all), of a saved
    data set those of ``part``.

    Raises:
        UserError: unreadable, a column is missing, or a row is empty.
    """
    table = read_rows(Path(path), part)
    for column in ("document", "summary"):
        if column not in table.columns:
            raise UserError(f"{path}: no column {column!r}; it needs document and summary")
    rows = table.rows[: limit or None]
    for row in rows:
        for column in ("document", "summary"):
            cell = row.cells.get(column)
            if not isinstance(cell, str) or is_blank(cell):
                raise UserError(
                    f"{path}, {row.place}: {column} is empty or no text; fill it or remove the row"
                )
    name, split = name_and_split(Path(path))
    return SummarySet(
        name, split, [row.cells["document"] for row in rows], [row.cells["summary"] for row in rows]
    )


def sentences_per_summary(references: Sequence[str]) -> int:
    """The mean number of sentences of ``references``, rounded, at least 1."""
    counts = [
        sum(bool(text[span.start : span.end].strip()) for span in split_sentences(text))
        for text in references
    ]
    return max(1, round(float(np.mean(counts))))


def rouge_of(model: ServedModel, data: SummarySet, options: SummarizeOptions) -> list[Rouge]:
    """ROUGE of each document's summary by ``model``."""
    scores: list[Rouge] = []
    for start in range(0, len(data.documents), _DOCUMENTS_AT_ONCE):
        end = start + _DOCUMENTS_AT_ONCE
        answers = _run(model, data.documents[start:end], options)
        scores += [
            rouge(answer.summary_text, reference)
            for answer, reference in zip(answers, data.references[start:end], strict=True)
        ]
    return scores


def rouge_of_systems(
    model: ServedModel, data: SummarySet, config: EvaluateConfig, *, progress: bool = False
) -> dict[str, list[Rouge]]:
    """ROUGE of each document for every baseline, and for every method and pooling of the model."""
    count = config.num_sentences or sentences_per_summary(data.references)
    cached, engine = with_cache(model)
    chance = np.random.default_rng(config.seed)
    systems: dict[str, dict[str, Any]] = {}
    has_scorer = model.statistics is not None and model.statistics.scorer is not None
    for method in _METHODS if has_scorer else _METHODS[:-1]:
        pooling = model.bundle.manifest.pooling
        own = [pooling.pooling] if method == "scorer" and pooling else config.poolings
        systems |= {f"{method}, {name}": {"method": method, "pooling": name} for name in own}
    results: dict[str, list[Rouge]] = {name: [] for name in (*BASELINES, *systems)}
    with tqdm(
        total=len(data.documents), desc=f"summarize {data.name}", unit="text", disable=not progress
    ) as bar:
        for start in range(0, len(data.documents), _DOCUMENTS_AT_ONCE):
            documents = data.documents[start : start + _DOCUMENTS_AT_ONCE]
            references = data.references[start : start + _DOCUMENTS_AT_ONCE]
            base = SummarizeOptions(num_sentences=count, method="lead")
            for answer, reference in zip(_run(cached, documents, base), references, strict=True):
                sentences = [sentence.text for sentence in answer.sentences]
                for name, choose in BASELINES.items():
                    chosen = choose(sentences, count, reference, chance)
                    results[name].append(rouge("\n".join(sentences[i] for i in chosen), reference))
            for name, options in systems.items():
                answers = _run(cached, documents, SummarizeOptions(num_sentences=count, **options))
                for answer, reference in zip(answers, references, strict=True):
                    results[name].append(rouge(answer.summary_text, reference))
            engine.clear()
            bar.update(len(documents))
    return results


def judge_summaries(
    model: ServedModel, config: EvaluateConfig, plots: Path, *, progress: bool
) -> list[Section]:
    """One section for each summarization set."""
    sections = []
    pooling = model.bundle.manifest.pooling
    assert pooling is not None
    default = "lead" if pooling.method == "lead" else f"{pooling.method}, {pooling.pooling}"
    for path in config.summaries:
        data = read_summary_set(path, config.summary_documents)
        count = config.num_sentences or sentences_per_summary(data.references)
        results = rouge_of_systems(model, data, config, progress=progress)
        section = Section(f"Summarization of {data.name} ({data.split}, {len(data.documents)} documents)")
        layers = ", ".join(map(str, pooling.layers))
        section.text = [
            _NOTE.format(count=count),
            f"Layers averaged: {layers}; post-processing: {pooling.postprocess}.",
        ]
        rows: list[list[Cell]] = []
        bars: dict[str, tuple[float, float, float]] = {}
        for name, scores in results.items():
            first = np.array([score.rouge1 for score in scores])
            interval = mean_interval(first, resamplings=config.resamplings, seed=config.seed)
            second, longest = (
                float(np.mean([getattr(s, key) for s in scores])) for key in ("rouge2", "rouge_l")
            )
            label = f"{name} (default)" if name == default else name
            rows.append([label, str(interval), second, longest])
            bars[label] = (interval.value, interval.low, interval.high)
            section.figures[name] = {"rouge1": interval.value, "rouge2": second, "rougeL": longest}
        section.tables.append(
            ReportTable("By method and pooling", ["", "ROUGE-1", "ROUGE-2", "ROUGE-L"], rows)
        )
        image = f"summaries-{data.name}.png"
        bars_plot(plots / image, f"{data.name}: ROUGE-1", bars, "ROUGE-1 F")
        section.plots[image] = "ROUGE-1 by method, with 95 % intervals"
        section.figures["sentences"] = count
        section.text.append(_verdict(section.figures, default))
        paired = _against_lead(results, default, config)
        if paired:
            section.figures["paired"] = {
                key: {"p": test.p, "verdict": test.verdict} for key, test in paired.items()
            }
            section.text.append(_difference(paired["rouge1"], default))
        section.metrics = [
            Metric(
                data_set=data.name,
                split=data.split,
                n=len(data.documents),
                metric=f"{key} ({default})",
                value=section.figures[default][key],
                baseline="lead",
                baseline_value=section.figures["lead"][key],
                baseline_p=paired[key].p if key in paired else None,
            )
            for key in ("rouge1", "rouge2", "rougeL")
            if default in section.figures
        ]
        sections.append(section)
    return sections


def _verdict(figures: dict[str, Any], default: str) -> str:
    own = {name: value["rouge1"] for name, value in figures.items() if name not in ("sentences", *BASELINES)}
    best = max(own, key=lambda name: own[name])
    lead = figures["lead"]["rouge1"]
    comparison = "is above" if own[best] > lead else "is not above"
    return (
        f"Best of the model: {best} with ROUGE-1 {own[best]:.4f}; it {comparison} lead ({lead:.4f}). "
        f"The bundle's default is {default}."
    )


def _against_lead(
    results: Mapping[str, Sequence[Rouge]], default: str, config: EvaluateConfig
) -> dict[str, PairedTest]:
    """The bundle's own choice against lead, figure by figure; empty where it is lead, or was not scored."""
    if default == "lead" or default not in results:
        return {}
    tests = {}
    for key, field in {"rouge1": "rouge1", "rouge2": "rouge2", "rougeL": "rouge_l"}.items():
        lead, own = (np.array([getattr(s, field) for s in results[name]]) for name in ("lead", default))
        tests[key] = paired_bootstrap(
            key,
            mean_of(lead),
            mean_of(own),
            len(own),
            resamplings=config.resamplings,
            seed=config.seed,
        )
    return tests


def _difference(test: PairedTest, default: str) -> str:
    return (
        f"{default} against lead on the same documents: ROUGE-1 {test.difference.value:+.4f} "
        f"[{test.difference.low:+.4f}, {test.difference.high:+.4f}], p = {test.p:.2g} ({test.test}): "
        f"{test.verdict}."
    )


def _run(model: ServedModel, documents: list[str], options: SummarizeOptions) -> list[Any]:
    return asyncio.run(summarize(model, documents, options, RequestContext()))
