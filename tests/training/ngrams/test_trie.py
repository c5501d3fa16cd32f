"""Every n-gram is found, nothing else is, whatever is asked for in whichever state."""

from __future__ import annotations

import itertools

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from training.ngrams.trie import Trie, build_trie

VOCABULARY = 6
NGRAMS = st.sets(st.lists(st.integers(0, VOCABULARY - 1), min_size=1, max_size=3).map(tuple), max_size=60)


def look_up(trie: Trie, ngram: tuple[int, ...]) -> int:
    """As the module does it: no bounds are checked, so every step must stay inside the arrays."""
    state = ngram[0]
    for token in ngram[1:]:
        slot = int(trie.base[state]) + token
        assert 0 <= slot < len(trie.base)
        state = slot if trie.check[slot] == state else trie.unknown
    return state


@settings(max_examples=200, deadline=None)
@given(NGRAMS)
def test_what_was_put_in_is_found_and_nothing_else(ngrams: set[tuple[int, ...]]) -> None:
    trie = build_trie(ngrams, VOCABULARY)
    prefixes = {ngram[:size] for ngram in ngrams for size in range(1, len(ngram) + 1)}
    assert set(trie.states) == prefixes
    assert len(set(trie.states.values())) == len(prefixes)
    assert trie.unknown not in trie.states.values()
    for size in (1, 2, 3):
        for asked in itertools.product(range(VOCABULARY), repeat=size):
            if asked in prefixes:
                assert look_up(trie, asked) == trie.states[asked]
            elif size > 1:
                assert look_up(trie, asked) == trie.unknown


def test_slots_are_few() -> None:
    generator = np.random.default_rng(0)
    # Frequent tokens have many followers, as in a text.
    tokens = (generator.pareto(1.0, size=(40_000, 3)) * 20).astype(int) % 5000
    ngrams = {tuple(map(int, row[:size])) for row in tokens for size in (1, 2, 3)}
    trie = build_trie(ngrams, 5000)
    longer = sum(len(ngram) > 1 for ngram in trie.states)
    assert len(trie.base) < 1.2 * longer + 2 * 5000
