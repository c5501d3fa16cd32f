"""Errors in text: exactly where the labels say, in sets that mean nothing."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.evaluate.text_corruption import SOURCES, confuse, confusion_sets, shuffle_characters
from training.tables import REPLACED

TEXTS = [
    "今天天气很好我们去公园",
    "他说的新闻是经济和体育",
    "the quick brown foxes jumped over lazy dogs",
    "1234",
]


@pytest.mark.parametrize("name", SOURCES)
@given(
    texts=st.lists(st.sampled_from(TEXTS) | st.text(max_size=20), min_size=1, max_size=6),
    seed=st.integers(0, 99),
)
def test_labels_mark_what_may_have_changed(name: str, texts: list[str], seed: int) -> None:
    examples = SOURCES[name](texts, seed)
    remaining = list(texts)
    for example in examples:
        marked = {at for at, label in enumerate(example.labels) if label == REPLACED}
        assert marked
        assert len(example.labels) == len(example.text) == len(example.units)
        # Outside the marks the text is one of the originals, in order.
        while True:
            original = remaining.pop(0)
            same = len(original) == len(example.text)
            if same and all(
                o == c
                for at, (o, c) in enumerate(zip(original, example.text, strict=True))
                if at not in marked
            ):
                break


def test_confused_characters_differ_and_stay_chinese() -> None:
    examples = confuse(TEXTS * 3, seed=1)
    assert examples
    for example in examples:
        original = next(
            t
            for t in TEXTS
            if len(t) == len(example.text) and sum(a != b for a, b in zip(t, example.text, strict=True)) <= 2
        )
        for at, label in enumerate(example.labels):
            if label == REPLACED:
                assert example.text[at] != original[at]
                assert "\u4e00" <= example.text[at] <= "\u9fff"


def test_sets_are_symmetric_and_repeatable() -> None:
    sets = confusion_sets(TEXTS * 2, seed=5)
    assert sets
    assert sets == confusion_sets(TEXTS * 2, seed=5)
    for character, others in sets.items():
        assert character not in others
        assert all(character in sets[other] for other in others)


def test_shuffling_keeps_the_characters() -> None:
    for example, original in zip(shuffle_characters(TEXTS[:3], seed=2), TEXTS[:3], strict=True):
        assert sorted(example.text) == sorted(original)
        assert example.text != original
        assert example.text.split(" ")[0][:1] == original.split(" ")[0][:1] or not original.isascii()


def test_nothing_to_corrupt_gives_nothing() -> None:
    assert confuse(["1234", "abc"], 0) == []
    assert shuffle_characters(["1234", "aa", "好好"], 0) == []
