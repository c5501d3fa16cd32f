"""A batch is the same whoever makes it."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from training.corpus.shards import TokenShards
from training.pretrain.batches import BatchMaker, Prefetcher, split_rows
from training.pretrain.rows import RowSource
from training.pretrain.words import WordFinder
from training.tokenizer import load_tokenizer, special_tokens


@pytest.fixture
def maker(prepared: Path) -> BatchMaker:
    tokenizer = load_tokenizer(prepared / "tokenizer")
    source = RowSource(TokenShards(prepared / "shards"), "train", 32, seed=0)
    return BatchMaker(source, special_tokens(tokenizer), 0.15, 4, seed=0)


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


@dataclass(frozen=True)
class GivenRows:
    """A source of rows that a test has written."""

    ids: np.ndarray
    length: int

    def rows(self, start: int, count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        ids = self.ids[start : start + count]
        return ids.copy(), (ids != -3).astype(np.int64), np.broadcast_to(np.arange(self.length), ids.shape)


def test_an_unknown_token_may_be_masked_and_no_other_special_one_is(prepared: Path) -> None:
    tokenizer = load_tokenizer(prepared / "tokenizer")
    names = ("[UNK]", "[CLS]", "[SEP]", "[MASK]", "[PAD]")
    unknown, *others = (tokenizer.token_to_id(name) for name in names)
    # [CLS], 12 unknown tokens among special ones that stood in the text, [SEP], padding.
    ids = np.full((40, 32), -3)
    ids[:, 0], ids[:, 25] = -1, -2
    ids[:, 1:25:2], ids[:, 2:25:2] = unknown, np.array(others * 3)
    source: Any = GivenRows(ids, 32)
    batch = BatchMaker(source, special_tokens(tokenizer), 0.15, 4, seed=0).make(0, 0, 40)
    assert batch.masked_weights.view(40, 4).sum(1).tolist() == [4.0] * 40  # of 26 tokens 15 % are 3.9
    masked = batch.ids.reshape(-1)[batch.masked[batch.masked_weights > 0]]
    assert masked.tolist() == [unknown] * 160


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
