import pytest

from app.text.language import han_share


@pytest.mark.parametrize(
    ("text", "share"),
    [
        ("我喜欢吃苹果。", 1.0),
        ("我爱iPhone", 2 / 3),
        ("我爱iPhone Pro", 0.5),
        ("I like apples.", 0.0),
        ("The word 好 means good", 1 / 5),
        ("café naïve", 0.0),
        ("😀 123 ……", None),
        ("한국어", None),
        ("", None),
    ],
)
def test_a_character_counts_as_a_word(text, share):
    assert han_share(text) == (share if share is None else pytest.approx(share))
