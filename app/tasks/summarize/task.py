"""Extractive summaries: sentences, their vectors, a method that ranks them, and a length that is kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from app.errors import ValidationFailed
from app.scheduler.engine import RequestContext
from app.tasks.helpers import check_wanted
from app.tasks.inputs import encode_texts, off_loop
from app.tasks.model import ServedModel
from app.tasks.sentence_scorer import SentenceScorer
from app.tasks.summarize.features import sentence_features
from app.tasks.summarize.kmeans import kmeans, nearest
from app.tasks.summarize.options import DEFAULT_SENTENCES, Plan, SummarizeOptions, check_options
from app.tasks.summarize.ranking import centroid_scores, textrank_scores, unit_interval
from app.tasks.summarize.results import Summary, SummarySentence
from app.tasks.summarize.segments import Segment, Tier, joined, segment_document
from app.tasks.summarize.selection import Budget, CharacterBudget, SentenceBudget, choose
from app.tasks.summarize.vectors import DocumentVectors, normalised, sentence_vectors
from app.text.offsets import Utf16Positions

FloatArray = npt.NDArray[np.float32]
IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class _Scored:
    """``scores`` 0 to 1 ``[sentences]``; ``clusters`` ``[sentences]``, -1 for a sentence without tokens."""

    scores: FloatArray
    clusters: IntArray | None = None


async def summarize(
    model: ServedModel, inputs: list[str], options: SummarizeOptions, context: RequestContext
) -> list[Summary]:
    """Summarize each of ``inputs`` by sentences of its own.

    The number of sentences or characters asked for is kept exactly, as far as the text has that many distinct
    sentences. No sentence is chosen twice, a summary is never empty, and equal requests get equal answers.

    Raises:
        ValidationFailed: an option is out of range or not offered by the model, a text is blank or malformed,
            or ``max_chars`` is less than any character group of the text.
    """
    plan = check_options(model, options)
    encoded = await encode_texts(model.encoder, inputs, context)
    characters = sum(map(len, inputs))
    documents = await off_loop(characters, _segment_all, inputs, options.max_chars)
    vectors: Sequence[DocumentVectors | None] = [None] * len(inputs)
    if plan.method != "lead":
        vectors = await sentence_vectors(model, encoded, documents, plan.pooling, context)
    scorer = model.statistics.scorer if model.statistics else None
    return await off_loop(characters, _summarize_all, inputs, documents, vectors, plan, options, scorer)


def _segment_all(inputs: Sequence[str], max_chars: int | None) -> list[list[Segment]]:
    documents = []
    for index, text in enumerate(inputs):
        check_wanted()
        segments = segment_document(text, max_chars)
        shortest = min(map(len, segments))
        if max_chars is not None and shortest > max_chars:
            where = "" if len(inputs) == 1 else f" of input.{index}"
            raise ValidationFailed(
                "max_chars", f"is {max_chars}, less than any character{where}; ask for {shortest} or more"
            )
        documents.append(segments)
    return documents


def _summarize_all(
    inputs: Sequence[str],
    documents: Sequence[Sequence[Segment]],
    vectors: Sequence[DocumentVectors | None],
    plan: Plan,
    options: SummarizeOptions,
    scorer: SentenceScorer | None,
) -> list[Summary]:
    summaries = []
    for index, (text, segments, known) in enumerate(zip(inputs, documents, vectors, strict=True)):
        check_wanted()
        summaries.append(_summarize(index, text, segments, known, plan, options, scorer))
    return summaries


def _summarize(
    index: int,
    text: str,
    segments: Sequence[Segment],
    vectors: DocumentVectors | None,
    plan: Plan,
    options: SummarizeOptions,
    scorer: SentenceScorer | None,
) -> Summary:
    tiers = _tiers(segments, vectors)
    count = _sentence_count(segments, options)
    scored = _score(segments, vectors, tiers[0], plan, scorer, count)
    budget: Budget = SentenceBudget(count)
    if options.max_chars is not None:
        budget = CharacterBudget(segments, options.max_chars, options.order)
    ranked: list[int] = []
    for number, candidates in enumerate(tiers):
        if number and ranked and options.max_chars is not None:
            break  # room is left, but only for scraps
        ranked += choose(
            candidates,
            scored.scores,
            budget,
            clusters=scored.clusters,
            vectors=None if vectors is None else vectors.vectors,
            diversity=options.diversity,
        )
    chosen = sorted(ranked) if options.order == "position" else ranked
    return Summary(
        index=index,
        summary_text=joined([segments[place].text for place in chosen]),
        sentences=_sentences(text, segments, scored, frozenset(ranked), options),
        k=len(ranked),
        method=plan.method,
        offset_unit=options.offset_unit,
        prompt_tokens=0 if vectors is None else vectors.prompt_tokens,
    )


def _tiers(segments: Sequence[Segment], vectors: DocumentVectors | None) -> list[IntArray]:
    """Distinct sentences by fitness, none of the lists empty; one without tokens is as good as no letters."""
    tiers: dict[Tier, list[int]] = {}
    for index, segment in enumerate(segments):
        if segment.original == index:
            readable = vectors is None or vectors.has_tokens[index]
            tiers.setdefault(segment.tier if readable else Tier.NO_LETTERS, []).append(index)
    return [np.array(tiers[tier], np.int64) for tier in sorted(tiers)]


def _sentence_count(segments: Sequence[Segment], options: SummarizeOptions) -> int:
    """How many sentences to choose; with ``max_chars`` about how many will fit."""
    distinct = sum(segment.original == index for index, segment in enumerate(segments))
    if options.max_chars is not None:
        wanted = options.max_chars * len(segments) / max(1, sum(map(len, segments)))
    elif options.ratio is not None:
        wanted = options.ratio * len(segments)
    else:
        wanted = DEFAULT_SENTENCES if options.num_sentences is None else options.num_sentences
    # Nearest number, halves up; the small term keeps 0.58 * 25 from falling below its half.
    return int(min(distinct, max(1, np.floor(wanted + 0.5 + 1e-9))))


def _score(
    segments: Sequence[Segment],
    vectors: DocumentVectors | None,
    members: IntArray,
    plan: Plan,
    scorer: SentenceScorer | None,
    count: int,
) -> _Scored:
    """Scores of all sentences; ``members`` are those that the method learns the document from."""
    if vectors is None:
        return _Scored((1 - np.arange(len(segments)) / len(segments)).astype(np.float32))
    if plan.method == "kmeans":
        return _score_by_cluster(vectors, members, count)
    if plan.method == "centroid":
        scores = centroid_scores(vectors.vectors, members)
    elif plan.method == "textrank":
        scores = np.zeros(len(segments), np.float32)
        known = np.flatnonzero(vectors.has_tokens)
        scores[known] = textrank_scores(vectors.vectors[known])
    else:
        assert scorer is not None, "check_options refuses the method without one"
        scores = scorer.score(sentence_features(segments, vectors.vectors))
    scores[~vectors.has_tokens] = 0
    return _Scored(scores)


def _score_by_cluster(vectors: DocumentVectors, members: IntArray, count: int) -> _Scored:
    """Nearness to the centre of the own cluster, once ``members`` are in about ``count`` clusters."""
    result = kmeans(vectors.vectors[members], min(count, len(members)))
    clusters, _ = nearest(vectors.vectors, result.centres)
    clusters[members] = result.labels
    centres = normalised(result.centres)
    scores = unit_interval(np.einsum("ij,ij->i", vectors.vectors, centres[clusters]))
    scores[~vectors.has_tokens] = 0
    clusters[~vectors.has_tokens] = -1
    return _Scored(scores, clusters)


def _sentences(
    text: str,
    segments: Sequence[Segment],
    scored: _Scored,
    chosen: frozenset[int],
    options: SummarizeOptions,
) -> list[SummarySentence]:
    utf16 = Utf16Positions(text) if options.offset_unit == "utf16" else None
    sentences = []
    for index, segment in enumerate(segments):
        cluster = -1 if scored.clusters is None else int(scored.clusters[index])
        sentences.append(
            SummarySentence(
                index=index,
                text=segment.text,
                start=utf16.from_code_point(segment.start) if utf16 else segment.start,
                end=utf16.from_code_point(segment.end) if utf16 else segment.end,
                score=round(float(scored.scores[index]), 6),
                cluster=cluster if cluster >= 0 else None,
                selected=index in chosen,
            )
        )
    return sentences
