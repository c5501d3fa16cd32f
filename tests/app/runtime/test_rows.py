"""Rows that a graph cannot take do not reach native code."""

from __future__ import annotations

import numpy as np
import pytest

from app.runtime.rows import GraphShape
from app.text.sequence import TokenSequence

SHAPE = GraphShape("sequence", ("input_ids", "attention_mask"), ("logits",), 0, vocab_size=10, max_tokens=4)
GENERATOR = GraphShape("positions", ("input_ids", "positions"), ("logits",), 0, vocab_size=10, max_tokens=4)


def row(*ids: int, types: int | None = None, positions: list[int] | None = None) -> TokenSequence:
    return TokenSequence(
        np.array(ids, np.int64),
        None if types is None else np.zeros(types, np.int64),
        None if positions is None else np.array(positions, np.int64),
    )


def test_only_what_the_graph_takes_is_fed() -> None:
    feeds = SHAPE.feeds([row(1, 9), row(2)])
    assert list(feeds) == ["input_ids", "attention_mask"]
    assert feeds["input_ids"].tolist() == [[1, 9], [2, 0]]
    assert GENERATOR.feeds([row(1, positions=[0]), row(2, 3, positions=[1])])["positions"].tolist() == [0, 3]


@pytest.mark.parametrize(
    ("shape", "bad", "message"),
    [
        (SHAPE, row(), "a row of 0 tokens; the graph takes 1 to 4"),
        (SHAPE, row(1, 2, 3, 4, 5), "a row of 5 tokens"),
        (SHAPE, row(1, 10), "token id 10 is outside the vocabulary of 10"),
        (SHAPE, row(1, -1), "token id -1"),
        (SHAPE, row(1, 2, types=1), "1 token types for a row of 2"),
        (SHAPE, row(1, positions=[0]), "only the generator"),
        (GENERATOR, row(1), "needs positions"),
        (GENERATOR, row(1, 2, positions=[2]), "positions 2 to 2 in a row of 2"),
        (GENERATOR, row(1, 2, positions=[-1, 0]), "positions -1 to 0"),
    ],
)
def test_a_row_that_does_not_fit_is_told_why(shape: GraphShape, bad: TokenSequence, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        shape.feeds([bad])
