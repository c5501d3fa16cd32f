"""Sentences by their words alone: TF-IDF over pairs of characters (Chinese) and words (other scripts)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import regex

FloatArray = npt.NDArray[np.float32]

_TERM = regex.compile(r"[\p{Han}\p{Hiragana}\p{Katakana}]+|[\p{L}\p{M}\p{N}]+")
_WIDE = regex.compile(r"[\p{Han}\p{Hiragana}\p{Katakana}]")


@dataclass(frozen=True, slots=True, eq=False)
class LexicalSimilarity:
    """Cosines of TF-IDF vectors, float32 ``[sentences]``, 0 to 1.

    Attributes:
        centrality: with the sum of all sentences.
        lead: with the first sentence that has any term.
    """

    centrality: FloatArray
    lead: FloatArray


def terms(text: str) -> list[str]:
    """Lower-case words, and for runs of Chinese every pair of neighbours (a single character by itself)."""
    found: list[str] = []
    for match in _TERM.finditer(text.casefold()):
        run = match.group()
        if len(run) == 1 or not _WIDE.match(run):
            found.append(run)
        else:
            found.extend(run[index : index + 2] for index in range(len(run) - 1))
    return found


def lexical_similarity(sentences: Sequence[str]) -> LexicalSimilarity:
    """Compare each sentence with the whole and with the lead; memory is linear in the number of terms."""
    vocabulary: dict[str, int] = {}
    rows, columns, counts = [], [], []
    for number, sentence in enumerate(sentences):
        for term, count in Counter(terms(sentence)).items():
            rows.append(number)
            columns.append(vocabulary.setdefault(term, len(vocabulary)))
            counts.append(count)
    total = len(sentences)
    if not rows:
        return LexicalSimilarity(np.zeros(total, np.float32), np.zeros(total, np.float32))
    row, column = np.array(rows), np.array(columns)
    frequency = np.bincount(column)
    values = np.array(counts, np.float64) * (np.log((1 + total) / (1 + frequency)) + 1)[column]
    norms = np.sqrt(np.bincount(row, values**2, minlength=total))
    values /= norms[row]
    centre = np.bincount(column, values)
    centrality = np.bincount(row, values * centre[column], minlength=total) / np.linalg.norm(centre)
    first = np.zeros(len(vocabulary))
    of_first = row == row[0]
    first[column[of_first]] = values[of_first]
    lead = np.bincount(row, values * first[column], minlength=total)
    return LexicalSimilarity(
        np.clip(centrality, 0, 1).astype(np.float32), np.clip(lead, 0, 1).astype(np.float32)
    )
