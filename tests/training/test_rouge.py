"""ROUGE by hand, on Chinese, English and both."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.rouge import rouge, rouge_tokens


def test_tokens() -> None:
    assert rouge_tokens("我用iPhone15拍照，It's OK!") == ["我", "用", "iphone15", "拍", "照", "it", "s", "ok"]
    assert rouge_tokens("！？ …") == []
    assert rouge_tokens("Café über naïve") == ["café", "über", "naïve"]


def test_identical_chinese_scores_one() -> None:
    score = rouge("今天天气很好。", "今天天气很好！")
    assert (score.rouge1, score.rouge2, score.rouge_l) == (1.0, 1.0, 1.0)


def test_by_hand() -> None:
    # Reference 我喜欢苹果 (5), prediction 我爱苹果 (4): common 我 苹 果; pair 苹果; longest 我苹果.
    score = rouge("我爱苹果", "我喜欢苹果")
    assert score.rouge1 == pytest.approx(2 * (3 / 4) * (3 / 5) / (3 / 4 + 3 / 5))
    assert score.rouge2 == pytest.approx(2 * (1 / 3) * (1 / 4) / (1 / 3 + 1 / 4))
    assert score.rouge_l == pytest.approx(2 * (3 / 4) * (3 / 5) / (3 / 4 + 3 / 5))


def test_the_longest_common_part_heeds_order() -> None:
    # All four characters are common; of those in one order there are two.
    score = rouge("天气今天", "今天天气")
    assert score.rouge1 == 1.0
    assert score.rouge_l == pytest.approx(2 / 4)


def test_english_counts_words() -> None:
    assert rouge("the cat sat", "the dog sat").rouge1 == pytest.approx(2 / 3)


@given(st.text(max_size=30), st.text(max_size=30))
def test_scores_are_shares_and_symmetric(a: str, b: str) -> None:
    one, other = rouge(a, b), rouge(b, a)
    for name in ("rouge1", "rouge2", "rouge_l"):
        assert 0 <= getattr(one, name) <= 1
        assert getattr(one, name) == pytest.approx(getattr(other, name))
