"""Which pieces are drawn, how warm, and which are flagged."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.browser import Call

pytestmark = pytest.mark.browser

DRAW = """async ([text, tokens]) => {
  const { heatBlocks, heatPieces } = await import("/js/heat.js");
  const blocks = heatBlocks(text, heatPieces(tokens));
  const pieces = blocks.flatMap((block) => [...block.querySelectorAll("[data-piece]")]);
  return {
    text: blocks.map((block) => block.textContent).join("\\n"),
    blocks: blocks.length,
    pieces: pieces.map((piece) => piece.textContent),
  };
}"""


def token(start: int, end: int, score: float = 0.1, **marks: bool) -> dict[str, Any]:
    return {"start": start, "end": end, "score": score, "unknown": False, "ignored": False, **marks}


def test_tokens_that_share_a_character_are_one_piece_with_the_highest_score(call: Call) -> None:
    pieces = call("heat", "heatPieces", [token(0, 1, 0.2), token(0, 1, 0.7), token(1, 2, 0.3)])
    assert [(piece["start"], piece["end"], piece["score"]) for piece in pieces] == [(0, 1, 0.7), (1, 2, 0.3)]


def test_a_shared_piece_takes_its_score_from_the_tokens_that_count(call: Call) -> None:
    (piece,) = call("heat", "heatPieces", [token(0, 1, 0.9, unknown=True), token(0, 1, 0.2)])
    assert (piece["score"], piece["judged"], piece["unknown"]) == (0.2, True, False)


@pytest.mark.parametrize(
    ("marks", "flagged"), [({}, True), ({"unknown": True}, False), ({"ignored": True}, False)]
)
def test_unknown_and_ignored_are_never_flagged(call: Call, marks: dict[str, bool], flagged: bool) -> None:
    (piece,) = call("heat", "heatPieces", [token(0, 1, 0.99, **marks)])
    assert call("heat", "isFlagged", piece, 0.0) is flagged


def test_a_score_at_the_threshold_is_flagged(call: Call) -> None:
    (piece,) = call("heat", "heatPieces", [token(0, 1, 0.5)])
    assert call("heat", "isFlagged", piece, 0.5) is True
    assert call("heat", "isFlagged", piece, 0.51) is False


@given(scores=st.lists(st.floats(0, 1), min_size=2, max_size=2))
@settings(max_examples=40, deadline=None)
def test_warmer_never_means_less_probable(call: Call, scores: list[float]) -> None:
    low, high = sorted(scores)
    assert 0 <= call("heat", "heatStep", low) <= call("heat", "heatStep", high) <= 8


@given(
    text=st.text(st.sampled_from("我错🍎é\n ab<&"), min_size=1, max_size=60),
    cuts=st.lists(st.integers(0, 60), max_size=20),
)
@settings(max_examples=40, deadline=None)
def test_what_is_drawn_is_the_text(module_page, text: str, cuts: list[int]) -> None:
    bounds = sorted({min(cut, len(text)) for cut in cuts})
    tokens = [token(start, end) for start, end in zip(bounds[::2], bounds[1::2], strict=False)]
    drawn = module_page.evaluate(DRAW, [text, tokens])
    assert drawn["text"] == text
    assert drawn["pieces"] == [text[each["start"] : each["end"]] for each in tokens]


def test_long_texts_are_drawn_in_blocks_that_end_at_line_breaks(module_page) -> None:
    text = "一二三四五六七八九十\n" * 200
    tokens = [token(index, index + 1) for index, character in enumerate(text) if character != "\n"]
    drawn = module_page.evaluate(DRAW, [text, tokens])
    assert drawn["text"] == text
    assert drawn["blocks"] > 5
