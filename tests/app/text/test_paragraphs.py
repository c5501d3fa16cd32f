"""Which lines belong together."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.text.paragraphs import paragraphs

WRAPPED = "The committee met on the first day of the month and\nthen it went home."


@given(st.text(alphabet="aB 。好\n\r\x85-1.", max_size=60))
def test_paragraphs_tile_the_text(text: str) -> None:
    spans = list(paragraphs(text))
    assert "".join(text[start:end] for start, end in spans) == text
    assert all(start < end for start, end in spans)


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("", 0),
        (WRAPPED, 1),
        (WRAPPED.replace("\n", "\n\n"), 2),
        ("Roses are red\nviolets are blue", 2),
        ("今天天气很好，我们去公园吧，我们去公园吧，我们去公园吧，我们去\n公园。", 2),
        ("one\r\ntwo\u2028three", 3),
    ],
)
def test_only_wrapped_latin_lines_are_put_together(text: str, count: int) -> None:
    assert len(list(paragraphs(text))) == count
