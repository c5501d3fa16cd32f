"""What ``POST /summarize`` says about one input."""

from __future__ import annotations

from dataclasses import dataclass

from app.tasks.summarize.options import Method
from app.text.offsets import OffsetUnit


@dataclass(frozen=True, slots=True)
class SummarySentence:
    """One sentence of the text, chosen or not.

    Attributes:
        index: place in the list.
        text: exactly ``input[start:end]``, without the white space around it.
        start, end: half-open range in the text as sent, in ``offset_unit``.
        score: how well the method thinks of it, 0 to 1; comparable within one text and method only.
        cluster: which k-means cluster it is in, numbered by first appearance; None for other methods.
        selected: whether it is part of the summary.
    """

    index: int
    text: str
    start: int
    end: int
    score: float
    cluster: int | None
    selected: bool


@dataclass(frozen=True, slots=True)
class Summary:
    """The answer for one input.

    Attributes:
        index: which input.
        summary_text: the selected sentences joined, with a space between two only where both sides are
            written with spaces.
        sentences: every sentence of the text, in text order. Only white space lies between two.
        k: how many are selected.
        method: the method that was used.
        offset_unit: what ``start`` and ``end`` count.
        prompt_tokens: tokens that the model read, special tokens included; none for ``lead``.
    """

    index: int
    summary_text: str
    sentences: list[SummarySentence]
    k: int
    method: Method
    offset_unit: OffsetUnit
    prompt_tokens: int
