import pytest
from hypothesis import given

from app.text.scripts import CHARACTER_CLASSES, Script, mark_classes, script_of
from tests.hard_text import hard_text


def marked(text, *classes):
    return "".join(
        character if seen else "_" for character, seen in zip(text, mark_classes(text, classes), strict=True)
    )


@pytest.mark.parametrize(
    ("text", "script"),
    [
        ("好", Script.HAN),
        ("々", Script.HAN),
        ("𠮷野", Script.HAN),
        ("apple", Script.LATIN),
        ("cafe\u0301", Script.LATIN),
        ("Ａ", Script.LATIN),
        ("15", Script.DIGIT),
        ("①½", Script.DIGIT),
        ("，", Script.PUNCTUATION),
        ("$", Script.PUNCTUATION),
        ("한국", Script.OTHER),
        ("😀", Script.OTHER),
        ("🇨🇳", Script.OTHER),
        ("iphone15", Script.MIXED),
        ("a好", Script.MIXED),
        ("", Script.OTHER),
    ],
)
def test_script(text, script):
    assert script_of(text) is script


def test_digits_with_their_separators():
    assert marked("第3.14，1,000.50元 12:30。①", "digits") == "_3.14_1,000.50__12:30_①"


def test_latin_words_with_the_digits_in_them():
    assert marked("买iPhone15，don't 3D cafe\u0301s", "latin") == "_iPhone15_don't__D_cafe\u0301s"


def test_punctuation_is_not_emoji():
    assert marked("好。“a”😀👍🏽!", "punctuation") == "_。“_”___!"


def test_urls_end_where_chinese_begins():
    assert marked("见https://a.com/b?c=1。写信me@x.org吧，www.b.cn", "url") == (
        "_https://a.com/b?c=1___me@x.org__www.b.cn"
    )


def test_emoji_are_taken_with_their_joiners():
    assert marked("a👨\u200d👩\u200d👧b🇨🇳1\ufe0f\u20e3❤\ufe0f2", "emoji") == (
        "_👨\u200d👩\u200d👧_🇨🇳1\ufe0f\u20e3❤\ufe0f_"
    )


@given(hard_text)
def test_marking_all_classes_is_marking_each(text):
    together = mark_classes(text, CHARACTER_CLASSES)
    one_by_one = [mark_classes(text, [name]) for name in CHARACTER_CLASSES]
    assert len(together) == len(text)
    assert together.tolist() == [any(column) for column in zip(*one_by_one, strict=True)]
