"""Our TF-IDF against scikit-learn's."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from sklearn.feature_extraction.text import TfidfVectorizer

from app.tasks.summarize.lexical import lexical_similarity, terms


def test_terms_are_pairs_of_characters_and_words() -> None:
    assert terms("我爱苹果，iPhone15 很好！A") == ["我爱", "爱苹", "苹果", "iphone15", "很好", "a"]
    assert terms("好") == ["好"]
    assert terms("……") == []


@given(st.lists(st.text("我爱苹果你a b。", max_size=12), min_size=1, max_size=12))
def test_equals_scikit_learn(sentences: list[str]) -> None:
    ours = lexical_similarity(sentences)
    assert ours.centrality.shape == ours.lead.shape == (len(sentences),)
    if not any(terms(sentence) for sentence in sentences):
        assert not ours.centrality.any()
        assert not ours.lead.any()
        return
    matrix = TfidfVectorizer(analyzer=terms).fit_transform(sentences).toarray()
    centre = matrix.sum(axis=0)
    assert np.allclose(ours.centrality, matrix @ centre / np.linalg.norm(centre), atol=1e-6)
    first = next(row for row in matrix if row.any())
    assert np.allclose(ours.lead, matrix @ first, atol=1e-6)
