"""Pieces cover everything once, and their copies are what they should be."""

import pytest
import torch

from training.electra import pieces as module
from training.electra.pieces import BLOCK, pieces, scores_in_pieces


def test_pieces_cover_every_position_once_and_a_vocabulary_may_be_larger_than_the_cache() -> None:
    for positions, vocabulary in ((1, 5), (100, 32_000), (7, module.CACHED * 2)):
        found = [i for p in pieces(torch.empty(positions, vocabulary)) for i in range(positions)[p]]
        assert found == list(range(positions))


@pytest.mark.parametrize("vocabulary", [5, BLOCK, BLOCK + 1, 3 * BLOCK])
def test_copies_are_padded_to_whole_blocks_and_may_be_overwritten(
    monkeypatch: pytest.MonkeyPatch, vocabulary: int
) -> None:
    monkeypatch.setattr(module, "CACHED", 4 * vocabulary)
    logits = torch.randn(10, vocabulary).bfloat16()
    before = logits.clone()
    seen = []
    for piece, scores in scores_in_pieces(logits):
        assert scores.shape[1] % BLOCK == 0
        assert scores.shape[1] - vocabulary < BLOCK
        assert torch.equal(scores[:, :vocabulary], logits[piece].float())
        assert (scores[:, vocabulary:] == float("-inf")).all()
        seen.append(scores.fill_(7.0).data_ptr())
    assert len(seen) == 3
    assert len(set(seen)) == 1
    assert torch.equal(logits, before)
