"""Adam as published, what decays, and one limit for the gradients of both networks together."""

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch

from tests.training.electra.test_losses import MASK, make_batch
from tests.training.electra.test_model import TINY
from training.electra.losses import joint_forward
from training.electra.model import Electra
from training.electra.optimizer import ElectraAdam, clip_gradients, clip_parts, parameter_groups
from training.pretrain.config import PretrainConfig
from training.pretrain.parallel import exchange_and_clip
from training.pretrain.setup import JointModel


@pytest.mark.parametrize("sharing", ["shared", "gdes", "none"])
def test_every_parameter_is_in_the_optimiser_exactly_once(sharing: str) -> None:
    model = Electra(replace(TINY, embedding_sharing=sharing))
    grouped = [id(p) for group in parameter_groups(model, 0.01) for p in group["params"]]
    assert sorted(grouped) == sorted(id(p) for p in model.parameters() if p.requires_grad)
    assert len(grouped) == len(set(grouped))


def test_embeddings_decay_and_norms_and_biases_do_not() -> None:
    model = Electra(TINY)
    names = {id(p): name for name, p in model.named_parameters()}
    decayed, plain = ([names[id(p)] for p in group["params"]] for group in parameter_groups(model, 0.01))
    assert "generator.embeddings.word_embeddings.weight" in decayed
    assert all(name.endswith("bias") or "norm" in name.lower() for name in plain)
    assert not any(name.endswith("bias") or "norm" in name.lower() for name in decayed)


def test_adam_without_correction_makes_a_first_step_of_three_learning_rates() -> None:
    weight = torch.nn.Parameter(torch.tensor([1.0, -2.0]))
    optimizer = ElectraAdam([{"params": [weight]}], lr=1e-3, weight_decay=0.0)
    weight.grad = torch.tensor([0.3, -0.7])
    before = weight.detach().clone()
    optimizer.step()
    expected = 1e-3 * 0.1 * weight.grad / (0.001**0.5 * weight.grad.abs() + 1e-6)
    torch.testing.assert_close(before - weight.detach(), expected)
    assert (before - weight.detach())[0] / 1e-3 == pytest.approx(3.162, abs=0.01)


def test_adam_with_correction_is_torch_adamw() -> None:
    torch.manual_seed(0)
    start = torch.randn(6, 4)
    ours, theirs = torch.nn.Parameter(start.clone()), torch.nn.Parameter(start.clone())
    a = ElectraAdam([{"params": [ours]}], lr=1e-2, weight_decay=0.1, eps=1e-8, bias_correction=True)
    b = torch.optim.AdamW([theirs], lr=1e-2, weight_decay=0.1, eps=1e-8)
    for _ in range(20):
        gradient = torch.randn(6, 4)
        ours.grad, theirs.grad = gradient.clone(), gradient.clone()
        a.step()
        b.step()
    torch.testing.assert_close(ours, theirs, atol=1e-6, rtol=1e-5)


def gradients(model: torch.nn.Module) -> list[torch.Tensor]:
    return [p.grad for p in model.parameters() if p.grad is not None]


@pytest.mark.parametrize("maximum", [1.0, 1e6])
@pytest.mark.parametrize(
    "clip",
    [
        lambda model, maximum: clip_gradients(model.parameters(), maximum),
        lambda model, maximum: clip_parts(gradients(model), maximum, None),
        lambda model, maximum: exchange_and_clip(JointModel(model, MASK, PretrainConfig()), maximum),
    ],
    ids=["gradients", "parts", "update"],
)
def test_one_limit_holds_for_the_gradients_of_both_networks_together(
    clip: Callable[[Electra, float], torch.Tensor], maximum: float
) -> None:
    ours, theirs = Electra(TINY), Electra(TINY)
    theirs.load_state_dict(ours.state_dict())
    for model in (ours, theirs):
        sums = joint_forward(model, make_batch(), MASK)
        # About as large from the one network as from the other: neither may be forgotten.
        (sums.generator + 50 * sums.discriminator).backward()
    parts = [
        torch.stack([g.norm() for g in gradients(n)]).norm() for n in (ours.generator, ours.discriminator)
    ]
    before = [gradient.clone() for gradient in gradients(ours)]
    expected = torch.nn.utils.clip_grad_norm_(theirs.parameters(), maximum)
    assert all(1.0 < part < expected < 1e6 for part in parts)
    torch.testing.assert_close(clip(ours, maximum), expected)
    clipped = gradients(ours)
    for found, wanted, whole in zip(clipped, gradients(theirs), before, strict=True):
        torch.testing.assert_close(found, wanted)
        assert maximum < expected or torch.equal(found, whole)
    norm = torch.cat([gradient.flatten() for gradient in clipped]).norm()
    torch.testing.assert_close(norm, expected.clamp(max=maximum), rtol=1e-5, atol=0)


def test_without_gradients_there_is_nothing_to_limit() -> None:
    assert clip_parts([], 1.0, None) == 0
