"""Slicing by code points agrees with Python, whose strings are made of them."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.browser import Call

pytestmark = pytest.mark.browser

TEXT = st.text(
    st.one_of(
        st.sampled_from("我喜欢苹果🍎👨‍👩‍👧é́𝒚\u200d\ufe0f\n a"), st.characters(exclude_categories=("Cs",))
    ),
    max_size=40,
)
SLICE = """async ([text, start, end]) => {
  const { indexCodePoints } = await import("/js/codepoints.js");
  return indexCodePoints(text).slice(start, end);
}"""


@given(text=TEXT)
@settings(max_examples=60, deadline=None)
def test_count_is_pythons_length(call: Call, text: str) -> None:
    assert call("codepoints", "countCodePoints", text) == len(text)


@given(text=TEXT, data=st.data())
@settings(max_examples=60, deadline=None)
def test_slice_is_pythons_slice(module_page, text: str, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, len(text)))
    assert module_page.evaluate(SLICE, [text, start, end]) == text[start:end]


@pytest.mark.parametrize(
    ("start", "end", "expected"), [(-5, 2, "🍎a"), (1, 99, "a错"), (2, 1, ""), (7, 9, ""), (0, None, "🍎a错")]
)
def test_slice_clamps_what_lies_outside(module_page, start: int, end: int | None, expected: str) -> None:
    if end is None:
        script = SLICE.replace("slice(start, end)", "slice(start)")
        assert module_page.evaluate(script, ["🍎a错", start, 0]) == expected
    else:
        assert module_page.evaluate(SLICE, ["🍎a错", start, end]) == expected


@given(text=TEXT, replacement=TEXT, data=st.data())
@settings(max_examples=40, deadline=None)
def test_replace_touches_nothing_else(call: Call, text: str, replacement: str, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, len(text)))
    expected = text[:start] + replacement + text[end:]
    assert call("codepoints", "replaceCodePoints", text, start, end, replacement) == expected


def test_token_estimate_counts_han_one_by_one_and_latin_in_fours(call: Call) -> None:
    assert call("codepoints", "estimateTokens", "我爱苹果") == 4
    assert call("codepoints", "estimateTokens", "wonderful") == 3
    assert call("codepoints", "estimateTokens", "我用 iPhone，好！") == 7
    assert call("codepoints", "estimateTokens", " \n ") == 0
