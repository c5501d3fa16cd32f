import pytest

from app.text.language import han_share, language_of


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("我喜欢吃苹果。", "zh"),
        ("我在今天下午买了一个新的iPhone", "zh"),
        ("我爱iPhone Pro", "mixed"),
        ("I like apples.", "en"),
        ("The word 好 means good, and it is used in a great many ways", "en"),
        ("café naïve", "en"),
        ("😀 123 ……", "other"),
        ("한국어", "other"),
        ("", "other"),
    ],
)
def test_language(text, language):
    assert language_of(text) == language


def test_a_character_counts_as_a_word():
    assert han_share("我爱iPhone") == pytest.approx(2 / 3)
    assert han_share("...") is None
