"""The choice of sentences, against plain definitions."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from app.tasks.summarize.segments import joined, segment_document
from app.tasks.summarize.selection import CharacterBudget, SentenceBudget, choose
from app.tasks.summarize.vectors import normalised

scores_and_labels = st.lists(
    st.tuples(st.sampled_from([0.1, 0.2, 0.5, 0.9]), st.integers(0, 3)), min_size=1, max_size=20
)


def split(rows: list[tuple[float, int]]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    scores = np.array([score for score, _ in rows], np.float32)
    return np.arange(len(rows)), scores, np.array([label for _, label in rows])


@given(scores_and_labels, st.integers(1, 25))
def test_best_first_with_ties_to_the_earlier(rows: list[tuple[float, int]], count: int) -> None:
    candidates, scores, _ = split(rows)
    chosen = choose(candidates, scores, SentenceBudget(count))
    expected = sorted(range(len(rows)), key=lambda index: (-scores[index], index))
    assert chosen == expected[:count]


@given(scores_and_labels, st.integers(1, 25), st.sampled_from([0.0, 0.5]))
def test_clusters_take_turns(rows: list[tuple[float, int]], count: int, diversity: float) -> None:
    candidates, scores, labels = split(rows)
    vectors = normalised(np.random.default_rng(0).normal(size=(len(rows), 4)).astype(np.float32))
    chosen = choose(
        candidates, scores, SentenceBudget(count), clusters=labels, vectors=vectors, diversity=diversity
    )
    assert len(chosen) == len(set(chosen)) == min(count, len(rows))
    taken = np.bincount(labels[chosen], minlength=4)
    sizes = np.bincount(labels, minlength=4)
    for label in np.flatnonzero(sizes):
        # Nobody falls behind by more than one turn unless exhausted.
        assert taken[label] >= min(sizes[label], taken.max() - 1)
    firsts = [int(index) for index in chosen[: len(set(labels.tolist()))]]
    order = [int(labels[index]) for index in firsts]
    assert [sizes[label] for label in order] == sorted((sizes[label] for label in order), reverse=True)
    if diversity == 0:
        for index in firsts:
            assert scores[index] == scores[labels == labels[index]].max()


@given(st.integers(2, 15), st.integers(1, 15), st.floats(0.05, 1), st.integers(0, 5))
def test_diversity_is_maximal_marginal_relevance(total: int, count: int, diversity: float, seed: int) -> None:
    random = np.random.default_rng(seed)
    vectors = normalised(random.normal(size=(total, 5)).astype(np.float32))
    scores = random.random(total).astype(np.float32)
    chosen = choose(np.arange(total), scores, SentenceBudget(count), vectors=vectors, diversity=diversity)
    relevance = (scores - scores.min()) / (scores.max() - scores.min())
    cosines = vectors.astype(np.float64) @ vectors.T
    average = cosines[~np.eye(total, dtype=bool)].mean()
    similar = (cosines - average) / (1 - average)
    expected: list[int] = []
    for _ in range(min(count, total)):
        left = [index for index in range(total) if index not in expected]
        value = {
            index: (1 - diversity) * relevance[index]
            - diversity * max([0.0, *(float(similar[index, other]) for other in expected)])
            for index in left
        }
        best = max(value.values())
        assert value[chosen[len(expected)]] >= best - 1e-5
        expected.append(chosen[len(expected)])
    assert chosen == expected


def test_near_copies_are_passed_over() -> None:
    vectors = normalised(np.array([[1, 0, 0], [1, 0.01, 0], [0, 1, 0], [0, 0, 1]], np.float32))
    scores = np.array([0.9, 0.89, 0.5, 0.1], np.float32)
    assert choose(np.arange(4), scores, SentenceBudget(2)) == [0, 1]
    assert choose(np.arange(4), scores, SentenceBudget(2), vectors=vectors, diversity=0.5) == [0, 2]


words = st.sampled_from(
    ["今天天气很好。", "他走了。", "The cat sat on the mat.", "Hello there, my friend.", "苹果iPhone"]
)


@given(
    st.lists(words, min_size=1, max_size=12),
    st.integers(1, 120),
    st.sampled_from(["position", "rank"]),
    st.randoms(),
)
def test_characters_are_counted_as_they_will_be_joined(parts, limit, order, random) -> None:
    segments = segment_document("\n".join(parts))
    indices = list(range(len(segments)))
    random.shuffle(indices)
    budget = CharacterBudget(segments, limit, order)
    taken: list[int] = []
    for index in indices:
        before = list(taken)
        fits = budget.take(index)
        taken += [index] if fits else []
        place = sorted if order == "position" else list
        length = len(joined([segments[i].text for i in place([*before, index])]))
        assert fits == (length <= limit)
    assert len(joined([segments[i].text for i in (sorted(taken) if order == "position" else taken)])) <= limit
