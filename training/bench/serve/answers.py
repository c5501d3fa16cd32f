"""Whether a server answered what the graph says, text by text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from app.bundle import Bundle
from app.runtime.batch import Session
from app.text.sequence import TokenSequence
from training.bench.serve.load import Sample
from training.bench.serve.subjects import Labelled, Subject


@dataclass(frozen=True, slots=True)
class Reference:
    """Scores of one text, computed alone by the backend itself."""

    scores: dict[str, float]

    def agrees(self, answer: Labelled, tolerance: float) -> bool:
        """Whether ``answer`` names a label that may be the best one, with its score."""
        label, score = answer
        if label not in self.scores:
            return False
        best = max(self.scores.values())
        return abs(score - self.scores[label]) <= tolerance and best - self.scores[label] <= 2 * tolerance


@dataclass(frozen=True, slots=True)
class Verdict:
    """Of a run's answers. ``example`` describes the first wrong one."""

    checked: int
    wrong: int
    example: str = ""


def references(session: Session, bundle: Bundle, rows: Sequence[TokenSequence]) -> list[Reference]:
    """What each row says when it is run alone; softmax over the labels."""
    labels = bundle.manifest.labels
    found = []
    for row in rows:
        logits = session.run([row])[0]["logits"].astype(np.float64)
        odds = np.exp(logits - logits.max())
        found.append(Reference(dict(zip(labels, (odds / odds.sum()).tolist(), strict=True))))
    return found


def check(samples: Sequence[Sample], expected: Sequence[Sequence[Reference]], subject: Subject) -> Verdict:
    """Compare every answer. ``expected``: the references of each request's texts."""
    wrong, example = 0, ""
    for sample in samples:
        problem = _problem(sample, expected[sample.index], subject)
        if problem:
            wrong += 1
            example = example or problem
    return Verdict(len(samples), wrong, example)


def _problem(sample: Sample, expected: Sequence[Reference], subject: Subject) -> str:
    answer = sample.answer
    if answer.status != 200:
        return f"status {answer.status}: {answer.body[:120]!r}"
    try:
        labelled = subject.answers(answer.body)
    except (ValueError, KeyError, TypeError) as error:
        return f"an answer that cannot be read ({error}): {answer.body[:120]!r}"
    if len(labelled) != len(expected):
        return f"{len(labelled)} answers to {len(expected)} texts"
    for got, wanted in zip(labelled, expected, strict=True):
        if not wanted.agrees(got, subject.tolerance):
            return f"{got} where the backend alone says {wanted.scores}"
    return ""
