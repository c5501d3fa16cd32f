"""Look-alikes: what everybody confuses is there, radicals alike are not, and the table is well formed."""

from __future__ import annotations

import pytest

from app.text.shapes import shape_alikes, shape_sets


@pytest.mark.parametrize(
    "pair", ["侯候", "未末", "己已", "按案", "晴睛", "土士", "拨泼", "幕暮", "今令", "刀力"]
)
def test_what_people_confuse_is_alike_both_ways(pair: str) -> None:
    assert pair[1] in shape_alikes(pair[0])
    assert pair[0] in shape_alikes(pair[1])


@pytest.mark.parametrize("pair", ["江河", "打提", "好妈", "我他", "是时"])
def test_a_common_radical_makes_nothing_alike(pair: str) -> None:
    assert pair[1] not in shape_alikes(pair[0])


def test_every_set_holds_different_characters_and_stands_in_no_other() -> None:
    sets = [frozenset(line) for line in shape_sets()]
    assert len(sets) > 1000
    for line, members in zip(shape_sets(), sets, strict=True):
        assert len(line) == len(members) >= 2
        assert all("\u4e00" <= character <= "\u9fff" for character in members), line
    assert not any(one < other for one in sets for other in sets if one & other)


def test_few_are_alike_and_nobody_is_like_itself() -> None:
    characters = sorted({character for line in shape_sets() for character in line})
    alike = [shape_alikes(character) for character in characters]
    assert sum(map(len, alike)) / len(alike) < 15
    assert not any(character in found for character, found in zip(characters, alike, strict=True))


def test_what_is_no_known_character_has_none() -> None:
    for text in ("a", "，", "", "按案", "👍"):
        assert shape_alikes(text) == frozenset()
