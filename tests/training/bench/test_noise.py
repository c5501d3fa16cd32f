"""A machine that moved is found out."""

import pytest
import torch

from training.bench.noise import matmul_rate, moved


@pytest.mark.parametrize(
    ("before", "after", "noisy"), [(100, 100, False), (100, 86, False), (100, 84, True), (84, 100, True)]
)
def test_what_counts_as_moved(before: float, after: float, noisy: bool) -> None:
    assert moved(before, after) is noisy


def test_the_rate_is_of_products() -> None:
    assert matmul_rate(torch.float32, torch.device("cpu"), sizes=(16, 32), seconds=0.01) > 1e5
