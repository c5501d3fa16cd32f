from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.corpus.cleaning import clean_text, detect_language, is_held_out, text_digest


@given(st.text())
def test_cleaning_is_idempotent_and_leaves_nothing_invisible(text: str) -> None:
    clean = clean_text(text)
    assert clean_text(clean) == clean
    assert clean == unicodedata.normalize("NFC", clean)
    assert not any(unicodedata.category(c) in ("Cs", "Co") for c in clean)
    assert not any(unicodedata.category(c) == "Cc" and c != "\n" for c in clean)
    assert "\ufffd" not in clean
    assert "\u200b" not in clean
    assert "\n\n" not in clean
    assert "  " not in clean
    clean.encode()  # a lone surrogate would raise


@pytest.mark.parametrize(
    ("raw", "clean"),
    [
        ("我\u200b喜欢\ufeff吃苹果。", "我喜欢吃苹果。"),
        ("\u3000\u3000第一段。\r\n\r\n\u3000\u3000第二段。", "第一段。\n第二段。"),
        ("one\t two\xa0\xa0three  \n\n four", "one two three\nfour"),
        ("cafe\u0301", "café"),
        ("broken \ufffd\x00 bytes \ud800", "broken bytes"),
        ("Ａ１，“引号”—…", "Ａ１，“引号”—…"),  # folding is the tokenizer's work
        ("a\u2028b\x0cc\x85d", "a\nb\nc\nd"),
        (" \n\t ", ""),
    ],
)
def test_cleaning_examples(raw: str, clean: str) -> None:
    assert clean_text(raw) == clean


@pytest.mark.parametrize(
    ("text", "tag"),
    [
        ("今天天气很好，我们去公园吧。", "zh"),
        ("The weather is fine today.", "en"),
        ("我的iPhone 15 Pro屏幕坏了", "zh"),
        ("Please install 软件 before you run the program again", "en"),
        ("12345 67890 --- *** 3.14159", "other"),
        ("Привет, как дела?", "other"),
        ("", "other"),
    ],
)
def test_language_tags(text: str, tag: str) -> None:
    assert detect_language(text) == tag


def test_digest_ignores_spacing_and_nothing_else() -> None:
    assert text_digest("one two\nthree") == text_digest("one  two three")
    assert text_digest("one two") != text_digest("One two")


def test_held_out_share_is_what_was_asked() -> None:
    digests = [text_digest(f"document {number}") for number in range(20_000)]
    share = sum(is_held_out(digest, 0.05) for digest in digests) / len(digests)
    assert 0.044 < share < 0.056  # four standard deviations
    assert not any(is_held_out(digest, 0.0) for digest in digests)
    small = {digest for digest in digests if is_held_out(digest, 0.01)}
    assert small <= {digest for digest in digests if is_held_out(digest, 0.05)}  # a larger share only adds
