"""Extractive summarization: which sentences of a text say what it is about."""

from app.tasks.sentence_scorer import SentenceScorer, feature_size, scorer_arrays
from app.tasks.summarize.features import sentence_features
from app.tasks.summarize.lexical import lexical_similarity
from app.tasks.summarize.options import (
    DEFAULT_SENTENCES,
    Method,
    Order,
    PoolingName,
    SummarizeOptions,
)
from app.tasks.summarize.results import Summary, SummarySentence
from app.tasks.summarize.segments import Segment, joined, segment_document
from app.tasks.summarize.task import summarize
from app.tasks.summarize.vectors import DocumentVectors, sentence_vectors

__all__ = [
    "DEFAULT_SENTENCES",
    "DocumentVectors",
    "Method",
    "Order",
    "PoolingName",
    "Segment",
    "SentenceScorer",
    "SummarizeOptions",
    "Summary",
    "SummarySentence",
    "feature_size",
    "joined",
    "lexical_similarity",
    "scorer_arrays",
    "segment_document",
    "sentence_features",
    "sentence_vectors",
    "summarize",
]
