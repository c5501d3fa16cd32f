"""From scores to the sentences of a summary: clusters in turn, redundancy, a length that is kept exactly."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from typing import Protocol

import numpy as np
import numpy.typing as npt

from app.tasks.summarize.options import Order
from app.tasks.summarize.ranking import average_cosine
from app.tasks.summarize.segments import Segment, joint

FloatArray = npt.NDArray[np.float32]
IntArray = npt.NDArray[np.int64]


class Budget(Protocol):
    """How much a summary may still hold."""

    @property
    def full(self) -> bool:
        """Whether nothing more can be taken."""

    def take(self, index: int) -> bool:
        """Take sentence ``index`` if it still fits, and say whether it did."""


class SentenceBudget:
    """``count`` sentences."""

    def __init__(self, count: int) -> None:
        self._left = count

    @property
    def full(self) -> bool:
        return self._left == 0

    def take(self, index: int) -> bool:
        self._left -= 1
        return True


class CharacterBudget:
    """At most ``limit`` code points of joined text, the spaces between sentences included."""

    def __init__(self, segments: Sequence[Segment], limit: int, order: Order) -> None:
        self._segments = segments
        self._left = limit
        self._order = order
        self._taken: list[int] = []

    @property
    def full(self) -> bool:
        return self._left <= 0

    def take(self, index: int) -> bool:
        place = bisect_left(self._taken, index) if self._order == "position" else len(self._taken)
        before = self._segments[self._taken[place - 1]].text if place else None
        after = self._segments[self._taken[place]].text if place < len(self._taken) else None
        text = self._segments[index].text
        cost = len(text)
        cost += len(joint(before, text)) if before is not None else 0
        cost += len(joint(text, after)) if after is not None else 0
        cost -= len(joint(before, after)) if before is not None and after is not None else 0
        if cost > self._left:
            return False
        self._left -= cost
        self._taken.insert(place, index)
        return True


def choose(
    candidates: IntArray,
    scores: FloatArray,
    budget: Budget,
    *,
    clusters: IntArray | None = None,
    vectors: FloatArray | None = None,
    diversity: float = 0.0,
) -> list[int]:
    """The chosen sentences, best first, until ``budget`` is full or no candidate is left.

    Args:
        candidates: indices into the document's sentences, ascending.
        scores: ``[sentences]``. Ties go to the earlier sentence.
        budget: what limits the choice; it is used up.
        clusters: ``[sentences]``. With them every cluster gives its best sentence, the largest cluster first,
            before any gives its second.
        vectors: unit vectors ``[sentences, dimension]``, needed for ``diversity``.
        diversity: weight of the similarity to sentences already chosen against the score.
    """
    if diversity <= 0 or vectors is None or len(candidates) < 2:
        order = _by_score(candidates, scores) if clusters is None else _in_turn(candidates, scores, clusters)
        return _fill(order, budget)
    return _marginal(candidates, scores, budget, clusters, vectors, diversity)


def _fill(order: Iterator[int], budget: Budget) -> list[int]:
    chosen = []
    for index in order:
        if budget.full:
            break
        if budget.take(index):
            chosen.append(index)
    return chosen


def _by_score(candidates: IntArray, scores: FloatArray) -> Iterator[int]:
    yield from (int(candidates[place]) for place in np.argsort(-scores[candidates], kind="stable"))


def _in_turn(candidates: IntArray, scores: FloatArray, clusters: IntArray) -> Iterator[int]:
    queues = [list(_by_score(members, scores)) for members in _members(candidates, clusters)]
    for rank in range(max(map(len, queues), default=0)):
        yield from (queue[rank] for queue in queues if rank < len(queue))


def _members(candidates: IntArray, clusters: IntArray) -> list[IntArray]:
    """Candidates of each cluster: the largest cluster first, of equal ones the one that begins first."""
    order = np.argsort(clusters[candidates], kind="stable")
    labels = clusters[candidates][order]
    groups = np.split(candidates[order], np.flatnonzero(np.diff(labels)) + 1)
    return sorted(groups, key=lambda group: (-len(group), int(group[0])))


def _marginal(
    candidates: IntArray,
    scores: FloatArray,
    budget: Budget,
    clusters: IntArray | None,
    vectors: FloatArray,
    diversity: float,
) -> list[int]:
    """Maximal marginal relevance (Carbonell and Goldstein 1998), within the cluster whose turn it is.

    Scores are spread over 0 to 1 first, and similarity counts from the average pair (0) to equality (1):
    encoders give any two sentences of a document a high cosine.
    """
    own = scores[candidates].astype(np.float64)
    spread = own.max() - own.min()
    relevance = (own - own.min()) / spread if spread > 0 else np.ones(len(own))
    local = vectors[candidates]
    average = min(average_cosine(local), 1 - 1e-6)
    closest = np.zeros(len(candidates))
    free = np.ones(len(candidates), bool)
    turns = [np.arange(len(candidates))]
    if clusters is not None:
        turns = [np.searchsorted(candidates, group) for group in _members(candidates, clusters)]
    chosen: list[int] = []
    while turns and not budget.full:
        remaining = []
        for places in turns:
            places = places[free[places]]
            while len(places) and not budget.full:
                value = (1 - diversity) * relevance[places] - diversity * closest[places]
                place = int(places[value.argmax()])
                free[place] = False
                places = places[places != place]
                if budget.take(int(candidates[place])):
                    chosen.append(int(candidates[place]))
                    np.maximum(closest, (local @ local[place] - average) / (1 - average), out=closest)
                    break
            if len(places):
                remaining.append(places)
        turns = remaining
    return chosen
