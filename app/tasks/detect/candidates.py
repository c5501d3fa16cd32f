"""Candidates for a flagged span: what the generator proposes to stand there, and how that is written."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from weakref import WeakKeyDictionary

import numpy as np
import numpy.typing as npt

from app.tasks.detect.places import Place
from app.text.encoder import TextEncoder
from app.text.scripts import Script, script_of

# A name in brackets, as [MASK] or [unused7], is no text.
_NAME = re.compile(r"\[.+\]")
IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Candidate:
    """Ids for a span's tokens, how they are written, and the generator's probability of them together."""

    ids: tuple[int, ...]
    text: str
    probability: float


class PieceTable:
    """Which pieces may stand for which text: same script, same place in a word, same length in Chinese."""

    def __init__(self, encoder: TextEncoder) -> None:
        self._surfaces = [
            "" if _NAME.fullmatch(piece) else piece.removeprefix("##") for piece in encoder.pieces
        ]
        self._continuation = encoder.is_continuation
        scripts = [script_of(surface) if surface else -1 for surface in self._surfaces]
        self._scripts = np.array(scripts, np.int64)
        self._lengths = np.array([len(surface) for surface in self._surfaces], np.int64)
        self._fitting: dict[tuple[Script, bool, int | None], IntArray] = {}

    def surface(self, index: int) -> str:
        """What piece ``index`` writes, without the ``##`` of a continuation."""
        return self._surfaces[index]

    def fitting(self, token: int, surface: str) -> IntArray:
        """Ids that may replace ``token``, which stands in the text as ``surface``; ascending."""
        script = script_of(surface)
        # Chinese words keep their number of characters when one is mistaken; English ones do not.
        length = len(surface) if script is Script.HAN else None
        key = (script, bool(self._continuation[token]), length)
        if key not in self._fitting:
            fits = (self._scripts == script) & (self._continuation == key[1])
            if length is not None:
                fits &= self._lengths == length
            self._fitting[key] = np.flatnonzero(fits)
        return self._fitting[key]


_TABLES: WeakKeyDictionary[TextEncoder, PieceTable] = WeakKeyDictionary()


def piece_table(encoder: TextEncoder) -> PieceTable:
    """The table of ``encoder``'s vocabulary, made once."""
    if encoder not in _TABLES:
        _TABLES[encoder] = PieceTable(encoder)
    return _TABLES[encoder]


def propose(table: PieceTable, place: Place, logits: npt.NDArray[np.floating], count: int) -> list[Candidate]:
    """The ``count`` most probable fillings of ``place`` other than what stands there, best first.

    The masked positions of a span are predicted independently, so a filling's probability is the product
    over its tokens. Some of a span's tokens may stay as they are, not all.

    Args:
        table: of the same vocabulary.
        place: a span of ``k`` tokens.
        logits: the generator's, ``[k, vocabulary]``.
        count: how many candidates to return at most.
    """
    best: list[tuple[float, tuple[int, ...]]] = [(0.0, ())]
    for token, surface, row in zip(place.ids, place.surfaces, logits, strict=True):
        options = _most_probable(row, table.fitting(token, surface), count + 1)
        # One more than asked at every step: the text as it stands may be among them.
        longer = [
            (-(log_probability + own), (*ids, index))
            for (log_probability, ids), (own, index) in product(best, options)
        ]
        best = [(-cost, ids) for cost, ids in sorted(longer)[: count + 1]]
    candidates = [
        Candidate(ids, _written(table, place, ids), float(np.exp(log_probability)))
        for log_probability, ids in best
    ]
    distinct: dict[str, Candidate] = {}
    for candidate in candidates:
        if candidate.ids != place.ids and candidate.text.casefold() != place.text.casefold():
            distinct.setdefault(candidate.text, candidate)
    return list(distinct.values())[:count]


def _most_probable(row: npt.NDArray[np.floating], allowed: IntArray, count: int) -> list[tuple[float, int]]:
    """Log probabilities (over the whole vocabulary) and ids of the ``count`` best of ``allowed``."""
    logits = row.astype(np.float64)
    peak = logits.max()
    log_total = peak + np.log(np.exp(logits - peak).sum())
    values = logits[allowed] - log_total
    if len(allowed) > count:
        chosen = np.sort(np.argpartition(-values, count)[:count])
        allowed, values = allowed[chosen], values[chosen]
    order = np.argsort(-values, kind="stable")
    return [(float(values[index]), int(allowed[index])) for index in order]


def _written(table: PieceTable, place: Place, ids: Sequence[int]) -> str:
    """The filling as text, in the case of what it replaces: vocabularies are lower case, people are not."""
    written = "".join(gap + table.surface(index) for gap, index in zip(place.gaps, ids, strict=True))
    if not written.islower():
        return written
    if len(place.text) > 1 and place.text.isupper():
        return written.upper()
    return written[0].upper() + written[1:] if place.text[0].isupper() else written
