"""N-grams of token ids in two flat arrays: a double-array trie (Aoe 1989).

A state is a slot. The state of one token is its id; from state ``s``, token ``t`` leads to slot
``base[s] + t`` if ``check`` of that slot is ``s``, and nowhere otherwise. To look up every n-gram of a batch
is thus a few gathers and additions, exact and without hashing, which an ONNX graph can do in 32-bit integers.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np

# Of slots that no state leads to.
_NOWHERE = -1
# Places tried at once for the children of a state.
_TRIES = 256


@dataclass(frozen=True, eq=False)
class Trie:
    """``base`` and ``check``, int32 ``[slots]``; the last slot is the state of unknown n-grams.

    Attributes:
        states: n-gram -> its slot, prefixes included.
    """

    base: np.ndarray
    check: np.ndarray
    states: dict[tuple[int, ...], int]

    @property
    def unknown(self) -> int:
        return len(self.base) - 1


def build_trie(ngrams: Collection[tuple[int, ...]], vocabulary: int) -> Trie:
    """The trie of ``ngrams``, whose ids are below ``vocabulary``.

    States with many children are placed first, each where all of its children find free slots.
    """
    known = {ngram[:length] for ngram in ngrams for length in range(1, len(ngram) + 1)}
    children: dict[tuple[int, ...], list[int]] = {}
    for ngram in sorted(known):
        if len(ngram) > 1:
            children.setdefault(ngram[:-1], []).append(ngram[-1])
    placed: dict[tuple[int, ...], int] = {}
    used = np.zeros(vocabulary + 1, bool)
    used[:vocabulary] = True  # the states of single tokens
    # Slots before this one are taken; places are only searched behind it.
    first = vocabulary
    for parent in sorted(children, key=lambda ngram: (-len(children[ngram]), ngram)):
        tokens = np.array(children[parent])
        place, used, first = _place(tokens, used, first)
        used[place + tokens] = True
        placed[parent] = place
    # Any token may be asked for in any state, and the last slot is never a child.
    size = max(placed.values(), default=0) + vocabulary + 1
    base, check = np.zeros(size, np.int32), np.full(size, _NOWHERE, np.int32)
    states: dict[tuple[int, ...], int] = {}
    for ngram in sorted(known, key=len):
        if len(ngram) == 1:
            states[ngram] = ngram[0]
        else:
            parent = ngram[:-1]
            states[ngram] = placed[parent] + ngram[-1]
            check[states[ngram]] = states[parent]
        base[states[ngram]] = placed.get(ngram, 0)
    return Trie(base, check, states)


def _place(tokens: np.ndarray, used: np.ndarray, first: int) -> tuple[int, np.ndarray, int]:
    """The first base at which all ``tokens`` are free; ``used``, longer where needed; the first free slot."""
    if used[first]:
        free = np.flatnonzero(~used[first:])
        first = first + int(free[0]) if len(free) else len(used)
    start = first
    while True:
        # Beyond the end everything is free, so the loop ends.
        if start + _TRIES + int(tokens[-1] - tokens[0]) >= len(used):
            used = np.concatenate([used, np.zeros(len(used) + _TRIES, bool)])
        candidates = start + np.flatnonzero(~used[start : start + _TRIES]) - tokens[0]
        candidates = candidates[candidates >= 0]
        if len(candidates):
            fits = np.flatnonzero(~used[candidates[:, None] + tokens].any(axis=1))
            if len(fits):
                return int(candidates[fits[0]]), used, first
        start += _TRIES
