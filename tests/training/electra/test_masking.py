"""Statistics and exact counts of masking."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.electra.masking import choose_masked


def draw(
    maskable: np.ndarray,
    rate: float = 0.15,
    seed: int = 0,
    words: np.ndarray | None = None,
    maximum: int = 19,
):
    tokens = np.full(len(maskable), maskable.shape[1])
    return choose_masked(maskable, tokens, rate, maximum, np.random.default_rng(seed), words)


@given(st.integers(1, 6), st.integers(3, 128), st.floats(0.05, 0.5), st.integers(0, 2**32), st.data())
def test_exact_count_without_replacement_and_never_a_special(
    rows: int, length: int, rate: float, seed: int, data: st.DataObject
) -> None:
    random = np.random.default_rng(seed)
    maskable = random.random((rows, length)) < data.draw(st.floats(0, 1))
    maximum = int((rate + 0.005) * length) or 1
    chosen = draw(maskable, rate, seed, maximum=maximum)
    for row in range(rows):
        used = chosen.positions[row][chosen.weights[row] > 0]
        wanted = min(max(1, min(maximum, round(rate * length))), int(maskable[row].sum()))
        assert len(used) == wanted
        assert len(set(used.tolist())) == len(used)
        assert maskable[row, used].all()


def test_a_full_row_of_128_has_19_masked() -> None:
    chosen = draw(np.ones((64, 128), bool))
    assert (chosen.weights.sum(1) == 19).all()


def test_positions_are_uniform_and_fifteen_percent_are_kept() -> None:
    chosen = draw(np.ones((4000, 128), bool))
    counts = np.bincount(chosen.positions.ravel(), minlength=128)
    expected = 4000 * 19 / 128
    # Chi-square over 127 degrees of freedom: mean 127, deviation 16; drawing without replacement lowers it.
    assert ((counts - expected) ** 2 / expected).sum() < 200
    assert chosen.keep.mean() == pytest.approx(0.15, abs=0.005)
    assert chosen.uniforms.mean() == pytest.approx(0.5, abs=0.005)


def test_masks_differ_between_draws_and_repeat_with_the_seed() -> None:
    maskable = np.ones((8, 64), bool)
    assert (draw(maskable, seed=1).positions == draw(maskable, seed=1).positions).all()
    assert (draw(maskable, seed=1).positions != draw(maskable, seed=2).positions).any()


def test_whole_words_are_masked_whole() -> None:
    words = np.repeat(np.arange(32), 4)[None].repeat(50, 0)
    chosen = draw(np.ones((50, 128), bool), words=words, maximum=20, rate=0.16)
    for row in range(50):
        used = chosen.positions[row][chosen.weights[row] > 0]
        sizes = np.bincount(words[row, used], minlength=32)
        assert sorted(sizes[sizes > 0].tolist()) in ([4] * 5, [1, *[4] * 5], [2, *[4] * 5], [3, *[4] * 4])
