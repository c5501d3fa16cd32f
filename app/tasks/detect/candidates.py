"""Candidates for a flagged span: what the generator proposes to stand there, and how that is written."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple
from weakref import WeakKeyDictionary

import numpy as np
import numpy.typing as npt

from app.tasks.detect.places import Place
from app.text.encoder import TextEncoder
from app.text.pinyin import sound_alikes
from app.text.scripts import Script, script_of
from app.text.shapes import shape_alikes

# A name in brackets, as [MASK] or [unused7], is no text.
_NAME = re.compile(r"\[.+\]")
FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

SOUND_PRIORS = {"same": 1.0, "near": 0.1, "other": 0.003}
"""How readily a writer takes a character for another, by how like they sound. Seven in ten of the errors in
SIGHAN 2015 share a syllable, though a character shares its own with only some sixty of several thousand; the
true ratio is steeper still, and these leave room for other mistakes."""
SHAPE_PRIORS = {"alike": 1.0, "other": 0.003}
"""The same by look. Three in ten of those errors are among the ten or so characters that look alike."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A filling of a span.

    Attributes:
        ids: one for each of the span's tokens.
        text: how it is written.
        probability: the generator's, of all tokens together.
        prior: how readily a writer takes it for what stands there, 0 to 1; 1 unless sounds or shapes are
            weighed.
    """

    ids: tuple[int, ...]
    text: str
    probability: float
    prior: float = 1.0


class _Filling(NamedTuple):
    log_probability: float
    log_prior: float
    ids: tuple[int, ...]


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

    def priors(self, token: int, surface: str, *, sound: bool = True, shape: bool = False) -> FloatArray:
        """How readily each of :meth:`fitting` is mistaken for the Chinese character ``surface``, 0 to 1.

        With both, what is like in either way is likely. 1 throughout where ``surface`` is no single character
        with a known sound or look.
        """
        pieces = self.fitting(token, surface).tolist()
        sounds = sound_alikes(surface) if sound else {}
        shapes = shape_alikes(surface) if shape else frozenset()
        if not sounds and not shapes:
            return np.ones(len(pieces))

        def prior(other: str) -> float:
            if other == surface:
                return 1.0
            by_sound = SOUND_PRIORS[sounds.get(other, "other")] if sounds else 0.0
            by_shape = SHAPE_PRIORS["alike" if other in shapes else "other"] if shapes else 0.0
            return max(by_sound, by_shape)

        return np.array([prior(self._surfaces[piece]) for piece in pieces])


_TABLES: WeakKeyDictionary[TextEncoder, PieceTable] = WeakKeyDictionary()


def piece_table(encoder: TextEncoder) -> PieceTable:
    """The table of ``encoder``'s vocabulary, made once."""
    if encoder not in _TABLES:
        _TABLES[encoder] = PieceTable(encoder)
    return _TABLES[encoder]


def propose(
    table: PieceTable,
    place: Place,
    logits: npt.NDArray[np.floating],
    count: int,
    *,
    sound_alike: bool = False,
    shape_alike: bool = False,
) -> list[Candidate]:
    """The ``count`` most probable fillings of ``place`` other than what stands there, best first.

    The masked positions of a span are predicted independently, so a filling's probability is the product
    over its tokens. Some of a span's tokens may stay as they are, not all.

    Args:
        table: of the same vocabulary.
        place: a span of ``k`` tokens.
        logits: the generator's, ``[k, vocabulary]``.
        count: how many candidates to return at most.
        sound_alike: weigh Chinese characters by how like they sound to those that stand there.
        shape_alike: weigh them by whether they look alike.
    """
    best = [_Filling(0.0, 0.0, ())]
    for token, surface, row in zip(place.ids, place.surfaces, logits, strict=True):
        fitting = table.fitting(token, surface)
        priors = np.log(table.priors(token, surface, sound=sound_alike, shape=shape_alike))
        options = _likeliest(row, fitting, priors, count + 1)
        longer = [
            _Filling(filling.log_probability + p, filling.log_prior + prior, (*filling.ids, index))
            for filling in best
            for p, prior, index in options
        ]
        # One more than asked at every step: the text as it stands may be among them.
        best = sorted(longer, key=lambda f: (-f.log_probability - f.log_prior, f.ids))[: count + 1]
    distinct: dict[str, Candidate] = {}
    for filling in best:
        text = _written(table, place, filling.ids)
        if filling.ids != place.ids and text.casefold() != place.text.casefold():
            probability, prior = float(np.exp(filling.log_probability)), float(np.exp(filling.log_prior))
            distinct.setdefault(text, Candidate(filling.ids, text, probability, prior))
    return list(distinct.values())[:count]


def _likeliest(
    row: npt.NDArray[np.floating], allowed: IntArray, log_priors: FloatArray, count: int
) -> list[tuple[float, float, int]]:
    """Log probability (over the whole vocabulary), log prior and id of the ``count`` best of ``allowed``."""
    logits = row.astype(np.float64)
    peak = logits.max()
    log_probabilities = logits[allowed] - (peak + np.log(np.exp(logits - peak).sum()))
    weights = log_probabilities + log_priors
    if len(allowed) > count:
        chosen = np.sort(np.argpartition(-weights, count)[:count])
    else:
        chosen = np.arange(len(allowed))
    order = chosen[np.argsort(-weights[chosen], kind="stable")]
    return [(float(log_probabilities[i]), float(log_priors[i]), int(allowed[i])) for i in order]


def _written(table: PieceTable, place: Place, ids: Sequence[int]) -> str:
    """The filling as text, in the case of what it replaces: vocabularies are lower case, people are not."""
    written = "".join(gap + table.surface(index) for gap, index in zip(place.gaps, ids, strict=True))
    if not written.islower():
        return written
    if len(place.text) > 1 and place.text.isupper():
        return written.upper()
    return written[0].upper() + written[1:] if place.text[0].isupper() else written
