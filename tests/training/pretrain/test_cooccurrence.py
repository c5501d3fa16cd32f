"""Counts are those of a plain loop; words of the same company get like vectors; the bias is the frequency."""

from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch

from app.bundle import SpecialTokens
from training.electra.config import PRESETS
from training.electra.model import Electra
from training.pretrain.config import PretrainConfig
from training.pretrain.cooccurrence import Counts, count, start_from_counts, word_vectors

SPECIAL = SpecialTokens(pad=0, unk=4, cls=1, sep=2, mask=3)


@dataclass
class Rows:
    """A source of rows that are given."""

    ids: np.ndarray
    segments: np.ndarray

    @property
    def epoch_rows(self) -> int:
        return len(self.ids)

    @property
    def length(self) -> int:
        return int(self.ids.shape[1])

    def rows(self, start: int, number: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        return self.ids[start : start + number], self.segments[start : start + number], self.ids * 0


def two_topics(rows: int = 300) -> Rows:
    """Words 5..14 keep each other company, and words 15..24; word 4 is everywhere, word 25 stands once."""
    random = np.random.default_rng(0)
    topic = random.integers(0, 2, (rows, 1))
    ids = random.integers(5, 15, (rows, 30)) + 10 * topic
    ids[random.random(ids.shape) < 0.2] = 4
    ids[0, 7] = 25
    ids[:, 0] = -1
    return Rows(ids, np.ones_like(ids))


def test_counts_are_those_of_a_plain_loop() -> None:
    random = np.random.default_rng(1)
    ids = random.integers(0, 12, (20, 24))
    segments = np.sort(random.integers(0, 3, (20, 24)))
    ids[segments == 0] = -3
    expected = np.zeros((12, 12))
    words = np.zeros(12)
    for row, parts in zip(ids, segments, strict=True):
        for place, one in enumerate(row):
            words[one] += one >= 4
            for distance in range(1, 5):
                if place + distance < 24 and parts[place] == parts[place + distance] > 0:
                    other = row[place + distance]
                    if one >= 4 and other >= 4:
                        expected[one, other] += 1 / distance
                        expected[other, one] += 1 / distance
    seen: list[int] = []
    counts = count(Rows(ids, segments), 12, SPECIAL, seen.append)  # type: ignore[arg-type]
    assert np.allclose(counts.pairs.toarray(), expected, rtol=1e-5)
    assert np.array_equal(counts.words, words * (np.arange(12) >= 4))
    assert sum(seen) == words[4:].sum()


def test_words_of_the_same_company_are_near() -> None:
    counts = count(two_topics(), 26, SPECIAL)  # type: ignore[arg-type]
    vectors = word_vectors(counts, 2, seed=0)
    near = vectors @ vectors.T / 2
    assert near[5:15, 5:15].min() > 0.9
    assert near[15:25, 15:25].min() > 0.9
    assert near[5:15, 15:25].max() < 0.5
    assert np.allclose((vectors[5:25] ** 2).sum(1), 2, rtol=1e-5)
    assert not vectors[25].any()  # seen once: too rare to say anything


def test_the_model_starts_with_them() -> None:
    config = replace(PRESETS["tiny"], vocab_size=26, embedding_size=2, hidden_size=8, intermediate_size=8)
    model = Electra(replace(config, num_attention_heads=4, initializer_range=0.05))
    rare = model.generator.embeddings.word_embeddings.weight[25].detach().clone()
    counts = count(two_topics(), 26, SPECIAL)  # type: ignore[arg-type]
    start_from_counts(model, counts, seed=0)
    table = model.generator.embeddings.word_embeddings.weight.detach()
    assert torch.allclose(table[5:25].square().mean().sqrt(), torch.tensor(0.05), rtol=1e-4)
    assert torch.equal(table[25], rare)
    share = model.generator_head.bias.detach().exp()
    assert float(share.sum()) == pytest.approx(1, abs=1e-5)
    assert torch.allclose(
        share[4] / share[5], torch.tensor((counts.words[4] + 1) / (counts.words[5] + 1.0)).float()
    )


def test_the_same_seed_gives_the_same_vectors() -> None:
    counts: Counts = count(two_topics(), 26, SPECIAL)  # type: ignore[arg-type]
    assert np.array_equal(word_vectors(counts, 4, seed=5), word_vectors(counts, 4, seed=5))


def test_what_contradicts_itself_is_refused() -> None:
    with pytest.raises(ValueError, match="would overwrite the words of warm_start"):
        PretrainConfig(word_initialization="cooccurrence", warm_start="there")
    with pytest.raises(ValueError, match="noise_share needs word_initialization"):
        PretrainConfig(noise_share=0.5)
