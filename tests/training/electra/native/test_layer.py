"""A whole layer by the kernels, forwards and backwards, is the layer that torch computes."""

import copy

import pytest
import torch
from torch import Tensor

from tests.training.electra.native.available import needs_kernels
from training.electra.attention import document_mask
from training.electra.config import ElectraConfig
from training.electra.model import EncoderSize, Layer

pytestmark = needs_kernels

SEGMENTS = torch.tensor([[1] * 20 + [2] * 44, [1] * 50 + [0] * 14])


def make_layer(hidden: int = 64, heads: int = 2, dropout: float = 0.0) -> Layer:
    torch.manual_seed(4)
    config = ElectraConfig(vocab_size=50, hidden_dropout=dropout, attention_dropout=dropout)
    layer = Layer(EncoderSize(hidden, 4 * hidden, heads, 1), config)
    for parameter in layer.parameters():
        parameter.data.add_(torch.randn_like(parameter), alpha=0.05)
    return layer


def gradients(layer: Layer, made: Tensor, hidden: Tensor) -> list[Tensor]:
    torch.manual_seed(6)
    made.backward(torch.randn(made.shape).to(made.dtype))
    found = [made.detach(), hidden.grad, *(parameter.grad for parameter in layer.parameters())]
    return [tensor.float() for tensor in found if tensor is not None]


@pytest.mark.parametrize("packed", [False, True])
def test_output_and_every_gradient(packed: bool) -> None:
    layer = make_layer()
    hidden = torch.randn(2, 64, 64).bfloat16().requires_grad_()
    ours = gradients(layer, layer.by_kernels(hidden, SEGMENTS.to(torch.int32) if packed else None), hidden)
    plain, exact = copy.deepcopy(layer), hidden.detach().float().requires_grad_()
    plain.zero_grad()
    mask = document_mask(SEGMENTS).float() if packed else None
    theirs = gradients(plain, plain(exact, mask), exact)
    assert len(ours) == len(theirs) == 14
    for one, other in zip(ours, theirs, strict=True):
        # Keys' biases have no gradient: rounding is measured against that of queries and values.
        assert float((one - other).norm()) < 0.012 * float(other.norm())


def test_float32_comes_in_and_its_gradient_goes_out() -> None:
    layer, hidden = make_layer(), torch.randn(2, 64, 64, requires_grad=True)
    made = layer.by_kernels(hidden, None)
    made.float().sum().backward()
    assert hidden.grad is not None
    assert (made.dtype, hidden.grad.dtype) == (torch.bfloat16, torch.float32)


def test_dropout_is_that_of_the_seed_and_of_training_alone() -> None:
    layer, hidden = make_layer(dropout=0.2), torch.randn(2, 64, 64).bfloat16()

    def run(seed: int) -> Tensor:
        torch.manual_seed(seed)
        return layer.by_kernels(hidden, None)

    assert torch.equal(run(1), run(1))
    assert not torch.equal(run(1), run(2))
    layer.eval()
    assert torch.equal(run(1), run(2))
    assert torch.equal(run(1), make_layer().by_kernels(hidden, None))


def test_dropped_values_have_no_gradient() -> None:
    """What drops out forwards drops out backwards: the slope along a direction is that of the gradient."""
    layer = make_layer(dropout=0.3)
    hidden, direction = torch.randn(2, 64, 64).bfloat16(), torch.randn(2, 64, 64)
    hidden.requires_grad_()

    def summed(values: Tensor) -> Tensor:
        torch.manual_seed(9)
        return (layer.by_kernels(values, None).float() * direction).sum()

    summed(hidden).backward()
    assert hidden.grad is not None
    step = hidden.grad.float() / hidden.grad.float().norm() * 4
    with torch.no_grad():
        measured = summed((hidden + step).bfloat16()) - summed((hidden - step).bfloat16())
    expected = float((hidden.grad.float() * step).sum()) * 2
    assert abs(float(measured) / expected - 1) < 0.05


@pytest.mark.parametrize(
    ("batch", "layer", "numbers", "fit"),
    [
        ((2, 64, 64), {}, torch.bfloat16, True),
        ((2, 40, 64), {}, torch.bfloat16, False),
        ((2, 64, 96), {"hidden": 96, "heads": 2}, torch.bfloat16, False),
        ((2, 64, 64), {}, torch.float16, False),
        ((2, 64, 64), {}, None, False),
    ],
)
def test_where_it_fits(
    batch: tuple[int, int, int], layer: dict[str, int], numbers: torch.dtype | None, fit: bool
) -> None:
    with torch.autocast("cpu", numbers or torch.bfloat16, enabled=numbers is not None):
        assert make_layer(**layer).fits_kernels(torch.zeros(batch)) is fit
        assert not make_layer(**layer).fits_kernels(torch.zeros(batch, device="meta"))
        assert not make_layer(**layer).fits_kernels(torch.zeros(0, 64, 64)), "rows of another process"


def test_strided_inputs_and_gradients() -> None:
    layer, hidden = make_layer(), torch.randn(64, 2, 64).bfloat16()
    strided, segments = hidden.transpose(0, 1).requires_grad_(), SEGMENTS.to(torch.int32).T.contiguous().T
    layer.by_kernels(strided, segments).sum().backward()  # whose gradient is one number, of no strides
    whole = hidden.transpose(0, 1).contiguous().requires_grad_()
    made = layer.by_kernels(whole, SEGMENTS.to(torch.int32))
    made.backward(torch.ones_like(made))
    assert strided.grad is not None
    assert whole.grad is not None
    assert torch.equal(strided.grad, whole.grad)
