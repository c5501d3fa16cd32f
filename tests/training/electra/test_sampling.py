"""Drawn tokens follow the softmax, in float32, whatever type the logits have."""

import numpy as np
import torch
from scipy.stats import chisquare

from training.electra.sampling import sample_tokens


def test_frequencies_are_the_softmax() -> None:
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(40, generator=generator) * 2
    uniforms = torch.rand(40_000, generator=generator)
    drawn = sample_tokens(logits.expand(40_000, 40), uniforms)
    expected = logits.softmax(-1).numpy().astype(np.float64)
    observed = np.bincount(drawn.numpy(), minlength=40)
    assert chisquare(observed, expected / expected.sum() * 40_000).pvalue > 1e-4


def test_temperature_and_forbidden_token() -> None:
    logits = torch.tensor([[0.0, 1.0, 2.0]]).expand(20_000, 3)
    uniforms = torch.rand(20_000, generator=torch.Generator().manual_seed(1))
    cold = sample_tokens(logits, uniforms, temperature=0.25)
    assert (cold == 2).float().mean() > 0.97
    forbidden = sample_tokens(logits, uniforms, forbid=torch.full((20_000,), 2))
    assert not (forbidden == 2).any()


def test_bfloat16_logits_are_sampled_in_float32() -> None:
    # 512 equal logits: in bfloat16 the cumulative sum could not even reach 1.
    logits = torch.zeros(8192, 512, dtype=torch.bfloat16)
    drawn = sample_tokens(logits, torch.rand(8192, generator=torch.Generator().manual_seed(2)))
    assert abs(drawn.float().mean().item() - 255.5) < 6
    assert drawn.max() > 500


def test_the_ends_of_the_unit_interval_stay_inside_the_vocabulary() -> None:
    drawn = sample_tokens(torch.randn(2, 7), torch.tensor([0.0, 0.99999994]))
    assert drawn.min() >= 0
    assert drawn.max() < 7


def test_no_gradient_flows_through_the_draw() -> None:
    logits = torch.randn(4, 9, requires_grad=True)
    assert not sample_tokens(logits, torch.rand(4)).requires_grad
