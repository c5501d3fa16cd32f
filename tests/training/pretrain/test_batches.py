"""A batch is the same whoever makes it."""

from pathlib import Path

import numpy as np
import pytest
import torch

from training.corpus.shards import TokenShards
from training.pretrain.batches import BatchMaker, Prefetcher, SpecialIds, split_rows
from training.pretrain.rows import RowSource
from training.pretrain.words import WordFinder
from training.tokenizer import load_tokenizer


@pytest.fixture
def maker(prepared: Path) -> BatchMaker:
    tokenizer = load_tokenizer(prepared / "tokenizer")
    source = RowSource(TokenShards(prepared / "shards"), "train", 32, seed=0)
    return BatchMaker(source, SpecialIds.of(tokenizer), 0.15, 4, seed=0)


def test_processes_share_one_batch_between_them(maker: BatchMaker) -> None:
    whole = maker.make(3, 24, 8)
    parts = [maker.make(3, 24, 8, rank, 2) for rank in range(2)]
    for rank, part in enumerate(parts):
        assert torch.equal(part.ids, whole.ids[rank::2])
        ours = part.masked.view(4, -1) - 32 * torch.arange(4)[:, None]
        all_rows = whole.masked.view(8, -1) - 32 * torch.arange(8)[:, None]
        assert torch.equal(ours, all_rows[rank::2])
        assert torch.equal(part.uniforms.view(4, -1), whole.uniforms.view(8, -1)[rank::2])


def test_specials_and_padding_are_never_masked(maker: BatchMaker) -> None:
    batch = maker.make(0, 0, 64)
    masked = batch.ids.reshape(-1)[batch.masked[batch.masked_weights > 0]]
    assert (masked >= 5).all() or set(masked.unique().tolist()) & {0, 2, 3, 4} == set()


def test_masks_change_with_the_step(maker: BatchMaker) -> None:
    assert not torch.equal(maker.make(0, 0, 8).masked, maker.make(1, 0, 8).masked)
    assert torch.equal(maker.make(1, 0, 8).masked, maker.make(1, 0, 8).masked)


def test_pieces_of_a_batch_are_the_batch(maker: BatchMaker) -> None:
    batch = maker.make(0, 0, 10)
    pieces = list(split_rows(batch, 4))
    assert [len(piece.ids) for piece in pieces] == [4, 4, 2]
    assert torch.equal(torch.cat([piece.ids for piece in pieces]), batch.ids)
    again = torch.cat([p.ids.reshape(-1)[p.masked] for p in pieces])
    assert torch.equal(again, batch.ids.reshape(-1)[batch.masked])


def test_the_prefetcher_gives_every_step_and_raises_the_makers_errors() -> None:
    fetch = Prefetcher(lambda step: step if step != 3 else 1 // 0)
    assert [fetch.get(step) for step in (0, 1, 2)] == [0, 1, 2]
    with pytest.raises(ZeroDivisionError):
        fetch.get(3)
    fetch.close()


def test_words_are_found_across_chinese_and_english(prepared: Path) -> None:
    tokenizer = load_tokenizer(prepared / "tokenizer")
    encoded = tokenizer.encode("我们喜欢苹果，the phone")
    ids = np.array([encoded.ids])
    words = WordFinder(tokenizer).find(ids, np.ones_like(ids))[0].tolist()
    tokens = encoded.tokens
    number = dict(zip(tokens, words, strict=True))
    assert number["我"] == number["们"]
    assert number["喜"] == number["欢"] != number["苹"] == number["果"]
    assert number["，"] != number["果"]
    for index, token in enumerate(tokens):
        if token.startswith("##"):
            assert words[index] == words[index - 1]
