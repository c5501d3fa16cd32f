"""Tables are built from the characters of the text, and symmetric where they say alike."""

from __future__ import annotations

from random import Random

from training.finetune.confusion import build_confusions


def test_alike_is_mutual_and_rare_characters_are_no_candidates() -> None:
    tables = build_confusions(["是事市师诗", "是事市师", "张脏"] * 2 + ["室"])
    for table in (tables.sound, tables.near):
        assert all(one in table[other] for one, others in table.items() for other in others)
    assert "室" not in tables.sound["是"]
    assert tables.near["张"] == ["脏"]
    assert tables.sound["张"] == []


def test_frequent_characters_are_drawn_more_often() -> None:
    tables = build_confusions(["好" * 400 + "坏" * 4 + "人人"])
    random = Random(0)
    drawn = [tables.random_character("人", random) for _ in range(600)]
    assert drawn.count("好") > 5 * drawn.count("坏") > 0
    assert "人" not in drawn


def test_words_keep_their_capital_and_short_ones_stay() -> None:
    tables = build_confusions([""])
    assert tables.wrong_word("Then", Random(0)) == "Than"
    assert tables.wrong_word("cat", Random(0)) is None
    assert tables.wrong_word("walked", Random(0)) == "walk"
    assert tables.random_character("好", Random(0)) is None
