"""Is bundle B better than bundle A? Paired tests on the same rows."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from app.tasks.model import ServedModel
from app.tasks.summarize import SummarizeOptions
from training.errors import UserError
from training.evaluate.classification import decisions
from training.evaluate.config import EvaluateConfig
from training.evaluate.detection import data_set_name
from training.evaluate.judge import open_bundle
from training.evaluate.labelled_set import read_test_set
from training.evaluate.statistics import PairedTest, macro_f1_of, mcnemar, mean_of, paired_bootstrap
from training.evaluate.summarization import (
    SummarySet,
    read_summary_set,
    rouge_of,
    sentences_per_summary,
)
from training.export.quality import predictions
from training.export.unit_scores import UnitScores, score_units
from training.tables import read_table


@dataclass(frozen=True)
class Comparison:
    """Tests of B against A, the decisive ones first.

    ``better``: B is better in one test or more, and worse in none.
    """

    a: str
    b: str
    tests: list[PairedTest]

    @property
    def better(self) -> bool:
        verdicts = {test.verdict for test in self.tests}
        return "better" in verdicts and "worse" not in verdicts

    @property
    def verdict(self) -> str:
        """One sentence."""
        if self.better:
            return f"{self.b} is better than {self.a}."
        worse = [test.metric for test in self.tests if test.verdict == "worse"]
        if worse:
            return f"{self.b} is worse than {self.a} in {', '.join(worse)}."
        return f"No difference between {self.a} and {self.b} is shown."

    def as_json(self) -> dict[str, Any]:
        tests = [asdict(test) | {"verdict": test.verdict} for test in self.tests]
        return {"a": self.a, "b": self.b, "better": self.better, "verdict": self.verdict, "tests": tests}


def compare(a_dir: Path, b_dir: Path, config: EvaluateConfig, *, progress: bool = True) -> Comparison:
    """Run both bundles on the data of ``config`` and test the difference.

    Classifiers: exact McNemar on accuracy, paired bootstrap on macro F1. Encoders: paired bootstrap over
    texts of F1 at ``balanced`` on each error file, and of ROUGE-1 of the default method on each
    summarization set.

    Raises:
        UserError: a bundle that cannot be served, different tasks or labels, or no data.
    """
    a, b = (open_bundle(path, config.precision, config.threads) for path in (a_dir, b_dir))
    tasks = a.bundle.manifest.task, b.bundle.manifest.task
    if tasks[0] != tasks[1]:
        raise UserError(f"{a_dir} is a {tasks[0]} bundle and {b_dir} a {tasks[1]} one; compare two of a kind")
    names = f"{a.name}/{a.version}", f"{b.name}/{b.version}"
    if tasks[0] == "classify":
        tests = _classifiers(a, b, config)
    else:
        tests = _encoders(a, b, config, progress)
        if not tests:
            raise UserError("compare: nothing to compare encoders by; name errors or summaries")
    return Comparison(*names, tests)


def _classifiers(a: ServedModel, b: ServedModel, config: EvaluateConfig) -> list[PairedTest]:
    if set(a.bundle.manifest.labels) != set(b.bundle.manifest.labels):
        raise UserError(f"{a.name} and {b.name} know different labels; compare classifiers of the same task")
    several = a.bundle.manifest.problem_type == "multi_label"
    chosen, truths = [], []
    for model in (a, b):
        test = read_test_set(model, config)
        chosen.append(decisions(predictions(model, test.texts, test.pairs, test.places), several))
        truths.append(test.truth)
    right = [(c == t).all(axis=1) for c, t in zip(chosen, truths, strict=True)]
    own = {"resamplings": config.resamplings, "seed": config.seed}
    figures = [macro_f1_of(t, c) for t, c in zip(truths, chosen, strict=True)]
    return [
        mcnemar(right[0], right[1], **own),
        paired_bootstrap("macro_f1", figures[0], figures[1], len(right[0]), **own),
    ]


def _encoders(a: ServedModel, b: ServedModel, config: EvaluateConfig, progress: bool) -> list[PairedTest]:
    own = {"resamplings": config.resamplings, "seed": config.seed}
    tests = []
    for path in config.errors:
        table = read_table(path, "error_detection", split="test", drop_empty=True)
        examples = table.examples[: config.error_rows or None]
        counts = [_counts(model, score_units(model, examples, progress=progress)) for model in (a, b)]
        name = f"F1 at balanced on {data_set_name(table.path)}"
        tests.append(paired_bootstrap(name, _f1_over(counts[0]), _f1_over(counts[1]), len(examples), **own))
    for path in config.summaries:
        data = read_summary_set(path, config.summary_documents)
        scores = [_rouge1(model, data, config) for model in (a, b)]
        name = f"ROUGE-1 on {data.name}"
        tests.append(
            paired_bootstrap(name, mean_of(scores[0]), mean_of(scores[1]), len(data.documents), **own)
        )
    return tests


def _counts(model: ServedModel, units: UnitScores) -> np.ndarray:
    """Hits, flags and errors of each text at ``balanced``, float64 ``[texts, 3]``."""
    calibration = model.bundle.manifest.calibration
    assert calibration is not None
    flagged = units.scored & (units.scores >= calibration.thresholds["balanced"])
    columns = (flagged & units.wrong, flagged, units.wrong)
    return np.stack([np.bincount(units.text, column, minlength=units.texts) for column in columns], axis=1)


def _f1_over(counts: np.ndarray) -> Any:
    def figure(index: np.ndarray) -> float:
        hits, flags, errors = counts[index].sum(axis=0)
        return float(2 * hits / max(flags + errors, 1))

    return figure


def _rouge1(model: ServedModel, data: SummarySet, config: EvaluateConfig) -> np.ndarray:
    count = config.num_sentences or sentences_per_summary(data.references)
    return np.array([score.rouge1 for score in rouge_of(model, data, SummarizeOptions(num_sentences=count))])
