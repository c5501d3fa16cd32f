import unicodedata

import pytest
from pypinyin.constants import PINYIN_DICT

from app.text.pinyin import readings, sound_alikes


def without_tones(pinyin):
    letters = unicodedata.normalize("NFD", pinyin).replace("u\u0308", "v")
    return "".join(letter for letter in letters if not unicodedata.combining(letter))


def test_every_reading_is_one_that_the_source_knows():
    assert len(readings()) > 8000
    for character, syllables in readings().items():
        known = [without_tones(reading) for reading in PINYIN_DICT[ord(character)].split(",")]
        assert known[0] in syllables
        assert syllables <= set(known)


def test_every_character_of_gb2312_is_in_the_table():
    for high in range(0xB0, 0xF8):
        for low in range(0xA1, 0xFF):
            character = bytes([high, low]).decode("gb2312", "ignore")
            assert not character or character in readings()


@pytest.mark.parametrize(
    ("first", "second", "likeness"),
    [
        ("平", "苹", "same"),
        ("他", "她", "same"),
        ("健", "建", "same"),
        ("兰", "南", "near"),
        ("你", "李", "near"),
        ("女", "吕", "near"),
        ("神", "身", "same"),
        ("心", "星", "near"),
        ("四", "是", "near"),
        ("平", "果", None),
        ("嗯", "李", None),
    ],
)
def test_likeness_goes_both_ways(first, second, likeness):
    assert sound_alikes(first).get(second) == likeness
    assert sound_alikes(second).get(first) == likeness


@pytest.mark.parametrize("text", ["a", "。", "苹果", "", "🍎"])
def test_what_is_no_known_character_sounds_like_nothing(text):
    assert sound_alikes(text) == {}


def test_a_character_is_not_its_own_sound_alike():
    assert "是" not in sound_alikes("是")
