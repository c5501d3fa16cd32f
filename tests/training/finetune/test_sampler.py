"""Batches hold rows of like length, every row once, in an order known from seed and epoch."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from training.finetune.sampler import LengthGroupedSampler, epoch_order


@given(
    st.lists(st.integers(1, 64), min_size=1, max_size=300),
    st.integers(1, 8),
    st.integers(0, 5),
    st.integers(0, 3),
    st.booleans(),
)
def test_every_row_once(lengths: list[int], batch: int, seed: int, epoch: int, group: bool) -> None:
    order = epoch_order(lengths, batch, seed, epoch, group=group)
    assert sorted(order.tolist()) == list(range(len(lengths)))
    assert order.tolist() == epoch_order(lengths, batch, seed, epoch, group=group).tolist()


def test_padding_shrinks_and_no_length_comes_first() -> None:
    lengths = np.random.default_rng(0).geometric(0.05, 3200).tolist()

    def padded(order: np.ndarray) -> int:
        sizes = np.asarray(lengths)[order].reshape(-1, 32)
        return int(sizes.max(1).sum() * 32)

    grouped = epoch_order(lengths, 32, 0, 0)
    assert padded(grouped) < 1.15 * sum(lengths)
    assert padded(epoch_order(lengths, 32, 0, 0, group=False)) > 2 * padded(grouped)
    means = np.asarray(lengths)[grouped].reshape(2, -1).mean(1)
    assert abs(means[0] - means[1]) < 4


def test_epochs_and_seeds_differ() -> None:
    lengths = [1] * 100
    orders = {tuple(epoch_order(lengths, 8, seed, epoch)) for seed in (0, 1) for epoch in (0, 1)}
    assert len(orders) == 4


def test_sampler_follows_its_epoch() -> None:
    sampler = LengthGroupedSampler([3, 1, 2] * 10, 4, seed=5)
    sampler.epoch = 2
    assert list(sampler) == epoch_order([3, 1, 2] * 10, 4, 5, 2).tolist()
    assert len(sampler) == 30
