"""Baselines choose what they say; the oracle is the best of its kind."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from training.evaluate.summary_baselines import BASELINES, oracle
from training.rouge import rouge

SENTENCES = ["今天股市大涨。", "天气很好。", "股市因为新政策大涨三成。", "人们去公园。", "新政策今天公布。"]
REFERENCE = "新政策公布，股市大涨"


@pytest.mark.parametrize("name", BASELINES)
@pytest.mark.parametrize("count", [1, 3, 9])
def test_as_many_as_asked_in_order(name: str, count: int) -> None:
    chosen = BASELINES[name](SENTENCES, count, REFERENCE, np.random.default_rng(0))
    assert chosen == sorted(set(chosen))
    assert len(chosen) <= min(count, 5)
    assert name == "oracle" or len(chosen) == min(count, 5)


def test_lead_and_centroid() -> None:
    chance = np.random.default_rng(0)
    assert BASELINES["lead"](SENTENCES, 2, "", chance) == [0, 1]
    # 天气很好 and 人们去公园 share no pair of characters with any other sentence.
    assert not {1, 3} & set(BASELINES["TF-IDF centroid"](SENTENCES, 2, "", chance))
    assert not {1, 3} & set(BASELINES["TF-IDF TextRank"](SENTENCES, 2, "", chance))


def test_the_oracle_of_one_sentence_is_exhaustive() -> None:
    def score(indices: tuple[int, ...]) -> float:
        value = rouge("\n".join(SENTENCES[i] for i in indices), REFERENCE)
        return value.rouge1 + value.rouge2

    (chosen,) = oracle(SENTENCES, 1, REFERENCE, np.random.default_rng(0))
    assert score((chosen,)) == max(score((i,)) for i in range(5))
    pair = tuple(oracle(SENTENCES, 2, REFERENCE, np.random.default_rng(0)))
    # Greedy: never worse than one sentence, not always the best pair.
    assert score((chosen,)) <= score(pair) <= max(map(score, combinations(range(5), 2)))


def test_the_oracle_heeds_the_order_of_words() -> None:
    assert oracle(["布公策政新。", "新政策公布。"], 1, "新政策公布", np.random.default_rng(0)) == [1]


def test_text_without_terms() -> None:
    for choose in BASELINES.values():
        assert choose(["！！", "？？", "……"], 1, "好", np.random.default_rng(0))
