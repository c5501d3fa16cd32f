"""What a request for a summary may choose, and whether the model can do it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from app.errors import ValidationFailed
from app.tasks.model import ServedModel
from app.text.offsets import OffsetUnit

Method = Literal["kmeans", "centroid", "textrank", "lead", "scorer"]
PoolingName = Literal["mean", "max", "cls"]
Order = Literal["position", "rank"]

DEFAULT_SENTENCES = 3
"""How many sentences a request gets that names no length."""


@dataclass(frozen=True, slots=True)
class SummarizeOptions:
    """The request's choices.

    Attributes:
        num_sentences: exactly this many sentences, or all distinct ones where the text has fewer. At most one
            of ``num_sentences``, ``ratio`` and ``max_chars`` may be given; none means ``num_sentences`` 3.
        ratio: this share of the text's sentences, above 0 up to 1, rounded to the nearest number and at least
            one; 1 gives every distinct sentence.
        max_chars: most code points of ``summary_text``. Where no sentence is that short, sentences are cut
            into clauses that are.
        method: ``kmeans``: the most central sentence of each cluster of sentence vectors; ``centroid``:
            nearest to the document's mean vector; ``textrank``: PageRank over sentence similarity; ``lead``:
            the first sentences, without the model; ``scorer``: the bundle's trained sentence scorer. None
            means the bundle's own choice, ``kmeans`` unless measurement said otherwise.
        pooling: how token vectors become a sentence vector; None means the bundle's own choice.
        diversity: 0 to 1, how much similarity to sentences already chosen counts against a sentence (maximal
            marginal relevance): 0 not at all, 1 alone.
        order: ``position`` as in the text, ``rank`` best first; of ``sentences`` in ``summary_text``.
        offset_unit: what ``start`` and ``end`` count. ``max_chars`` counts code points always.
    """

    num_sentences: int | None = None
    ratio: float | None = None
    max_chars: int | None = None
    method: Method | None = None
    pooling: PoolingName | None = None
    diversity: float = 0.0
    order: Order = "position"
    offset_unit: OffsetUnit = "codepoint"


@dataclass(frozen=True, slots=True)
class Plan:
    """Options with the bundle's defaults filled in."""

    method: Method
    pooling: PoolingName


def check_options(model: ServedModel, options: SummarizeOptions) -> Plan:
    """The method and the pooling to use, once every option is known to be usable.

    Raises:
        ValidationFailed: the model has no sentence vectors or no scorer, or an option is out of range.
    """
    manifest = model.bundle.manifest
    if manifest.task != "encode" or manifest.pooling is None:
        raise ValidationFailed("model", f"{model.name} gives no sentence vectors; name an encode model")
    _check_length(options)
    if not (math.isfinite(options.diversity) and 0 <= options.diversity <= 1):
        raise ValidationFailed("diversity", f"is {options.diversity}; it lies between 0 and 1")
    method = options.method or manifest.pooling.method
    pooling = options.pooling or manifest.pooling.pooling
    if method == "scorer":
        if model.statistics is None or model.statistics.scorer is None:
            raise ValidationFailed(
                "method",
                f"{model.name} ships no trained scorer; choose kmeans, centroid, textrank or lead",
                code="no_scorer",
            )
        if pooling != manifest.pooling.pooling:
            raise ValidationFailed(
                "pooling",
                f"is {pooling}, but {model.name}'s scorer knows {manifest.pooling.pooling} vectors only; "
                "leave it out",
            )
    return Plan(method, pooling)


def _check_length(options: SummarizeOptions) -> None:
    given = [name for name in ("num_sentences", "ratio", "max_chars") if getattr(options, name) is not None]
    if len(given) > 1:
        raise ValidationFailed(given[1], f"cannot be combined with {given[0]}; give one of them")
    if options.num_sentences is not None and options.num_sentences < 1:
        raise ValidationFailed("num_sentences", f"is {options.num_sentences}; ask for at least 1")
    if options.max_chars is not None and options.max_chars < 1:
        raise ValidationFailed("max_chars", f"is {options.max_chars}; ask for at least 1")
    if options.ratio is not None and not (math.isfinite(options.ratio) and 0 < options.ratio <= 1):
        raise ValidationFailed("ratio", f"is {options.ratio}; it lies above 0 and up to 1")
