"""ROUGE of what the service would answer."""

from __future__ import annotations

import asyncio
import dataclasses
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import bootstrap

from app.scheduler.engine import RequestContext
from app.tasks.model import ServedModel
from app.tasks.summarize import SummarizeOptions, summarize
from training.errors import UserError
from training.evaluate.config import EvaluateConfig
from training.evaluate.dry_run import write_summaries
from training.evaluate.summarization import (
    judge_summaries,
    read_summary_set,
    rouge_of_systems,
    sentences_per_summary,
)
from training.rouge import rouge

SENTENCES = [
    "今天天气很好。",
    "我们去公园吃苹果。",
    "新闻说体育不坏。",
    "The cat sat on the mat.",
    "人们喜欢中国。",
    "经济大好。",
]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    write_summaries(tmp_path / "test.jsonl", SENTENCES * 4)
    return tmp_path / "test.jsonl"


def test_every_system_is_scored_as_served(detector: ServedModel, data: Path) -> None:
    config = EvaluateConfig(num_sentences=2, poolings=["mean", "cls"])
    summaries = read_summary_set(str(data))
    results = rouge_of_systems(detector, summaries, config)
    assert {"oracle", "lead", "random", "kmeans, mean", "kmeans, cls", "textrank, mean"} <= results.keys()
    assert not any(name.startswith("scorer") for name in results)
    options = SummarizeOptions(num_sentences=2, method="centroid", pooling="cls")
    answers = asyncio.run(summarize(detector, summaries.documents, options, RequestContext()))
    expected = [rouge(a.summary_text, r) for a, r in zip(answers, summaries.references, strict=True)]
    assert results["centroid, cls"] == expected
    assert np.mean([s.rouge1 for s in results["oracle"]]) >= max(
        np.mean([s.rouge1 for s in scores]) for name, scores in results.items() if name != "oracle"
    )


def test_the_section_names_the_bar(detector: ServedModel, data: Path, tmp_path: Path) -> None:
    config = EvaluateConfig(summaries=[str(data)], poolings=["mean"], resamplings=100)
    (section,) = judge_summaries(detector, config, tmp_path, progress=False)
    assert section.figures["sentences"] == 1
    assert section.figures["oracle"]["rouge1"] == pytest.approx(1.0)  # references are sentences of the text
    assert " above lead (" in section.text[-2]
    assert {metric.metric for metric in section.metrics} == {f"rouge{x} (kmeans, mean)" for x in "12L"}
    assert all(metric.baseline == "lead" for metric in section.metrics)


def test_the_bundles_own_choice_is_tested_against_lead_document_by_document(
    detector: ServedModel, data: Path, tmp_path: Path
) -> None:
    config = EvaluateConfig(summaries=[str(data)], poolings=["mean"], resamplings=400)
    (section,) = judge_summaries(detector, config, tmp_path, progress=False)
    scores = rouge_of_systems(detector, read_summary_set(str(data)), config)
    own, lead = (np.array([s.rouge2 for s in scores[name]]) for name in ("kmeans, mean", "lead"))
    # The same test by scipy: the mean difference of resampled documents, on which side of 0.
    drawn = bootstrap((own - lead,), np.mean, n_resamples=4000, rng=1).bootstrap_distribution
    expected = 2 * min((drawn <= 0).mean(), (drawn >= 0).mean())
    (recorded,) = (metric for metric in section.metrics if metric.metric.startswith("rouge2"))
    assert recorded.baseline_p == pytest.approx(min(expected, 1.0), abs=0.08)
    assert section.figures["paired"]["rouge2"]["p"] == recorded.baseline_p
    assert section.text[-1].startswith("kmeans, mean against lead on the same documents: ROUGE-1 ")


def test_lead_itself_is_not_tested_against_lead(detector: ServedModel, data: Path, tmp_path: Path) -> None:
    config = EvaluateConfig(summaries=[str(data)], poolings=["mean"], resamplings=100)
    manifest = detector.bundle.manifest
    assert manifest.pooling is not None
    leading = manifest.model_copy(update={"pooling": manifest.pooling.model_copy(update={"method": "lead"})})
    bundle = dataclasses.replace(detector.bundle, manifest=leading)
    (section,) = judge_summaries(
        dataclasses.replace(detector, bundle=bundle), config, tmp_path, progress=False
    )
    assert "paired" not in section.figures
    assert [metric.baseline_p for metric in section.metrics] == [None] * 3


def test_the_length_follows_the_references() -> None:
    assert sentences_per_summary(["一句。", "一句。两句。三句。", "一。二。三。四。五。"]) == 3
    assert sentences_per_summary(["没有标点"]) == 1


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"document": "a"}\n', "no column 'summary'"),
        (
            '{"document": "a", "summary": "b"}\n{"document": "\u200b ", "summary": "b"}\n',
            "line 2: document is empty",
        ),
    ],
)
def test_malformed_sets(text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "bad.jsonl").write_text(text, encoding="utf-8")
    with pytest.raises(UserError, match=message):
        read_summary_set(str(tmp_path / "bad.jsonl"))
