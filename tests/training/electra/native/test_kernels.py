"""Each kernel beside torch in float32 on the same bfloat16 numbers."""

import math
from collections.abc import Iterator

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from tests.training.electra.native.available import needs_kernels
from training.electra.native import kernels
from training.electra.native.kernels import Dropout, draw_dropout

pytestmark = needs_kernels

ROUNDING = 2.0**-8  # of bfloat16, relative
DROPOUT = Dropout(threshold=26, seed=12345)


@pytest.fixture(autouse=True)
def seeded() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.manual_seed(3)
    yield
    torch.set_num_threads(threads)


def numbers(*shape: int) -> Tensor:
    return torch.randn(shape).bfloat16()


def close(ours: Tensor, theirs: Tensor, within: float = ROUNDING) -> None:
    """Equal but for rounding, measured against the size of the whole."""
    assert ours.shape == theirs.shape
    assert (ours.float() - theirs.float()).norm() <= within * theirs.float().norm()
    assert (ours.float() - theirs.float()).abs().max() <= 4 * within * theirs.float().abs().max()


# Less and more rows than a weight gradient takes at a time, and what is left over of them.
@pytest.mark.parametrize(("rows", "inputs", "outputs"), [(32, 32, 64), (96, 256, 32), (544, 96, 160)])
def test_linear(rows: int, inputs: int, outputs: int) -> None:
    values, upstream = numbers(rows, inputs), numbers(rows, outputs)
    weight, bias = torch.randn(outputs, inputs), torch.randn(outputs)
    rounded = weight.bfloat16().float()
    whole = F.linear(values.float(), rounded, bias)
    close(kernels.linear(values, weight, bias), whole)
    gelu, slope = kernels.linear_gelu(values, weight, bias)
    close(gelu, F.gelu(whole))
    close(slope, torch.ops.aten.gelu_backward(torch.ones_like(whole), whole))
    gradient = upstream.float() @ rounded
    close(kernels.input_gradient(upstream, weight), gradient)
    other = numbers(rows, inputs)
    close(kernels.input_gradient(upstream, weight, added=other), gradient + other)
    close(kernels.input_gradient(upstream, weight, slope=other), gradient * other)
    weight_gradient, bias_gradient = kernels.weight_gradient(upstream, values)
    close(weight_gradient, upstream.float().T @ values.float(), 1e-5)
    close(bias_gradient, upstream.float().sum(0), 1e-5)


def test_gelu_of_every_number() -> None:
    every = torch.arange(2**16, dtype=torch.int32).to(torch.int16).view(torch.bfloat16)
    values = every[every.isfinite() & (every.abs() < 1e4)]
    values = torch.cat([values, values.new_zeros(-len(values) % 1024)]).view(-1, 32)
    ours, slope = kernels.linear_gelu(values, torch.eye(32), torch.zeros(32))
    exact = values.double().requires_grad_()
    theirs = F.gelu(exact)
    theirs.sum().backward()
    assert exact.grad is not None
    # Half of the last bit of bfloat16, and what the approximation adds.
    for made, wanted in ((ours, theirs.detach()), (slope, exact.grad)):
        error = (made.double() - wanted).abs()
        assert (error <= wanted.abs() * ROUNDING + 2e-5).all()


def attended(projected: Tensor, segments: Tensor | None, heads: int, factors: Tensor) -> Tensor:
    batch, tokens, width = projected.shape[0], projected.shape[1], projected.shape[2] // 3
    query, key, value = projected.view(batch, tokens, 3, heads, -1).permute(2, 0, 3, 1, 4)
    scores = query @ key.transpose(-1, -2) / math.sqrt(width // heads)
    if segments is not None:
        same = segments[:, None, :, None] == segments[:, None, None, :]
        scores = scores.masked_fill(~same, -math.inf)
    weights = scores.softmax(-1) * factors.view(batch, heads, tokens, tokens)
    return (weights @ value).transpose(1, 2).reshape(batch, tokens, width)


# Rows that are no whole number of dropout's draws too.
@pytest.mark.parametrize(("tokens", "heads", "size"), [(32, 1, 64), (96, 2, 32), (256, 4, 64)])
@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("dropout", [Dropout(), DROPOUT])
def test_attention(tokens: int, heads: int, size: int, packed: bool, dropout: Dropout) -> None:
    batch, width = 2, heads * size
    projected, upstream = numbers(batch, tokens, 3 * width), numbers(batch, tokens, width)
    lengths = torch.tensor([tokens // 3, tokens])  # the second row is one document
    segments = (torch.arange(tokens) >= lengths[:, None]).to(torch.int32) if packed else None
    factors = kernels.dropout_factors(batch * heads * tokens, tokens, dropout)
    theirs = projected.float().requires_grad_()
    whole = attended(theirs, segments, heads, factors)
    whole.backward(upstream.float())
    assert theirs.grad is not None
    context, logarithms = kernels.attention(projected, segments, heads, dropout)
    close(context, whole, 2 * ROUNDING)
    gradient = kernels.attention_gradient(upstream, projected, segments, context, logarithms, dropout)
    for ours, wanted in zip(gradient.chunk(3, -1), theirs.grad.chunk(3, -1), strict=True):
        close(ours, wanted, 3 * ROUNDING)


def test_attention_stays_inside_documents_to_the_bit() -> None:
    projected, segments = (
        numbers(1, 64, 96),
        torch.tensor([[1] * 20 + [2] * 30 + [0] * 14], dtype=torch.int32),
    )
    before, _ = kernels.attention(projected, segments, 1, Dropout())
    projected[:, 20:50] = numbers(1, 30, 96) * 50
    after, _ = kernels.attention(projected, segments, 1, Dropout())
    assert torch.equal(before[:, :20], after[:, :20])
    assert torch.equal(before[:, 50:], after[:, 50:])
    assert not torch.equal(before[:, 20:50], after[:, 20:50])


def test_attention_to_one_far_above_all() -> None:
    """Weights that are zero in float32, or that would be denormal, are no trouble."""
    projected = numbers(1, 32, 96) * 60
    factors = torch.ones(32, 32)
    context, _ = kernels.attention(projected, None, 1, Dropout())
    close(context, attended(projected.float(), None, 1, factors), 2 * ROUNDING)


@pytest.mark.parametrize(("rows", "width"), [(1, 32), (130, 96), (300, 256)])
@pytest.mark.parametrize("dropout", [Dropout(), DROPOUT])
@pytest.mark.parametrize("epsilon", [1e-12, 0.1])
def test_add_norm(rows: int, width: int, dropout: Dropout, epsilon: float) -> None:
    residual, branch, upstream = numbers(rows, width), numbers(rows, width), numbers(rows, width)
    weight, bias = torch.randn(width), torch.randn(width)
    factors = kernels.dropout_factors(rows, width, dropout)
    theirs = [tensor.float().requires_grad_() for tensor in (residual, branch, weight, bias)]
    whole = F.layer_norm(theirs[0] + theirs[1] * factors, [width], theirs[2], theirs[3], epsilon)
    whole.backward(upstream.float())
    ours, statistics = kernels.add_norm(residual, branch, weight, bias, epsilon, dropout)
    close(ours, whole)
    gradients = kernels.add_norm_gradient(upstream, residual, branch, weight, statistics, dropout)
    for gradient, wanted, within in zip(gradients, theirs, (ROUNDING, ROUNDING, 1e-5, 1e-5), strict=True):
        assert wanted.grad is not None
        close(gradient, wanted.grad, within)


def test_what_drops_out_is_random() -> None:
    factors = kernels.dropout_factors(512, 320, Dropout(threshold=128, seed=7))
    stays = (factors > 0).double()
    assert set(factors.unique().tolist()) == {0.0, 2.0}
    assert abs(float(stays.mean()) - 0.5) < 5 * math.sqrt(0.25 / stays.numel())
    centred = stays - 0.5
    seeds = [Dropout(128, seed) for seed in (8, 7 + 2**32, 2**61)]
    apart = [
        *(centred.roll(1, 0), centred.roll(1, 1), centred.roll(64, 1)),  # row, value, word of 64
        *(kernels.dropout_factors(512, 320, other).sign().double() - 0.5 for other in seeds),
    ]
    for other in apart:
        assert abs(float((centred * other).mean() * 4)) < 5 / math.sqrt(stays.numel())
    for edge in (stays.mean(0), stays.mean(1)):  # no place and no row that always stays
        assert float((edge - 0.5).abs().max()) < 6 * math.sqrt(0.25 / 320)
    assert (kernels.dropout_factors(3, 96, Dropout()) == 1).all()


def test_the_rate_of_dropout_is_right_on_average() -> None:
    torch.manual_seed(5)
    drawn = [draw_dropout(0.1) for _ in range(2000)]
    assert {dropout.threshold for dropout in drawn} == {25, 26}
    assert abs(sum(dropout.threshold for dropout in drawn) / 2000 / 256 - 0.1) < 3e-4
    assert len({dropout.seed for dropout in drawn}) == 2000
    assert draw_dropout(0.0) == Dropout()


def test_sums_do_not_depend_on_threads() -> None:
    values, upstream, middle = numbers(544, 96), numbers(544, 64), numbers(544, 96)
    projected, weight = numbers(6, 64, 192), torch.randn(64, 96)

    def everything() -> list[Tensor]:
        context, logarithms = kernels.attention(projected, None, 2, DROPOUT)
        normed, statistics = kernels.add_norm(values, middle, weight[0], weight[1], 1e-12, DROPOUT)
        hidden, target, uniforms = numbers(70, 96), torch.arange(70), torch.rand(70)
        table, bias = torch.randn(3000, 96), torch.randn(3000)
        losses, denominators, drawn = kernels.vocabulary_loss(hidden, table, bias, target, uniforms)
        return [
            kernels.linear(values, weight, weight[:, 0].contiguous()),
            *kernels.weight_gradient(upstream, values),
            *(context, logarithms, normed, losses, drawn),
            kernels.attention_gradient(context, projected, None, context, logarithms, DROPOUT),
            *kernels.add_norm_gradient(values, values, middle, weight[0], statistics, DROPOUT),
            *kernels.vocabulary_gradient(losses, hidden, table, bias, target, denominators),
        ]

    found = []
    for threads in (1, 2, 3):
        torch.set_num_threads(threads)
        torch.manual_seed(11)
        found.append(everything())
    for one, *others in zip(*found, strict=True):
        assert all(torch.equal(one, other) for other in others)


# A vocabulary that is no whole number of pieces; positions that are no whole number of blocks.
@pytest.mark.parametrize(("positions", "words", "size"), [(1, 40, 32), (33, 1000, 64), (70, 4096, 96)])
@pytest.mark.parametrize("spread", [0.25, 25.0])  # logits that float32 could not take to the power of e
def test_vocabulary(positions: int, words: int, size: int, spread: float) -> None:
    hidden, table, bias = numbers(positions, size), torch.randn(words, size) * spread, torch.randn(words)
    target, uniforms = torch.randint(words, (positions,)), torch.rand(positions)
    target[0] = words - 1
    upstream = torch.rand(positions)
    theirs = [t.float().requires_grad_() for t in (hidden, table.bfloat16(), bias)]
    logits = F.linear(*theirs)
    wanted = F.cross_entropy(logits, target, reduction="none")
    wanted.backward(upstream)
    losses, logarithms, drawn = kernels.vocabulary_loss(hidden, table, bias, target, uniforms)
    torch.testing.assert_close(losses, wanted, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(logarithms, logits.logsumexp(-1), rtol=1e-4, atol=1e-4)
    gradients = kernels.vocabulary_gradient(upstream, hidden, table, bias, target, logarithms)
    for ours, tensor in zip(gradients, theirs, strict=True):
        assert tensor.grad is not None
        close(ours, tensor.grad)
    until = logits.detach().double().softmax(-1).cumsum(-1)
    below = torch.where(drawn > 0, until.gather(1, (drawn - 1).clamp(min=0)[:, None])[:, 0], 0.0)
    above = until.gather(1, drawn[:, None])[:, 0]
    assert (below <= uniforms + 1e-5).all()
    assert (uniforms <= above + 1e-5).all()


def test_words_are_drawn_as_often_as_they_are_probable() -> None:
    words, many = 300, 20_000
    hidden, table = numbers(1, 32).expand(many, 32).contiguous(), torch.randn(words, 32) / 3
    bias = torch.randn(words)
    bias[::7] = -math.inf
    uniforms = torch.rand(many)
    bias[256:] = -math.inf  # a piece of which no word can be
    uniforms[:3] = torch.tensor([0.0, 1 - 2.0**-24, 1.0])
    target = torch.ones(many, dtype=torch.int64)
    _, _, drawn = kernels.vocabulary_loss(hidden, table, bias, target, uniforms)
    counts = torch.bincount(drawn, minlength=words).double()
    assert len(counts) == words
    assert counts[::7].sum() == 0
    expected = many * (table.bfloat16().double() @ hidden[0].double() + bias).softmax(-1)
    often = expected >= 5
    statistic = float(((counts - expected).square() / expected)[often].sum())
    freedom = int(often.sum())
    assert statistic < freedom + 5 * math.sqrt(2 * freedom)


def test_no_word_is_drawn_that_is_next_to_impossible() -> None:
    """Rounding can make a uniform number 1: it draws the last word that is probable, not one of its piece."""
    hidden, bias = torch.zeros(4, 32, dtype=torch.bfloat16), torch.full((600,), -20.0)
    bias[599] = 0.0
    uniforms, target = torch.ones(4), torch.zeros(4, dtype=torch.int64)
    _, _, drawn = kernels.vocabulary_loss(hidden, torch.zeros(600, 32), bias, target, uniforms)
    assert drawn.tolist() == [599] * 4


def test_denormal_numbers_are_numbers_again_afterwards() -> None:
    torch.set_num_threads(1)
    kernels.linear(numbers(32, 32), torch.randn(32, 32), torch.randn(32))
    assert float(torch.tensor([1e-40]) * 1) != 0


@pytest.mark.parametrize(
    "weight", [torch.zeros(32, 32).T[:, ::2].repeat(1, 2).T, torch.zeros(32, 32, dtype=torch.float64),
               torch.zeros(32, 32, dtype=torch.bfloat16)],
)  # fmt: skip
def test_what_a_kernel_would_read_wrongly_is_refused(weight: Tensor) -> None:
    with pytest.raises(TypeError, match=r"linear: torch.float32 on the CPU and contiguous is wanted"):
        kernels.linear(numbers(32, 32), weight, torch.zeros(32))


def test_numbers_that_are_none_stay_so() -> None:
    """A run that has diverged must see it in its loss, and draws words that exist."""
    hidden, table = numbers(40, 32), torch.randn(500, 32)
    hidden[3, 4] = math.nan
    target, uniforms = torch.zeros(40, dtype=torch.int64), torch.rand(40)
    losses, _, drawn = kernels.vocabulary_loss(hidden, table, torch.zeros(500), target, uniforms)
    assert losses[3].isnan()
    assert losses[torch.arange(40) != 3].isfinite().all()
    assert int(drawn.min()) >= 0
    assert int(drawn.max()) < 500
    values = numbers(32, 32)
    values[5, 6] = math.nan
    normed, _ = kernels.add_norm(values, values, torch.ones(32), torch.zeros(32), 1e-12, Dropout())
    gelu, _ = kernels.linear_gelu(values, torch.eye(32), torch.zeros(32))
    context, _ = kernels.attention(values.repeat(1, 3)[None].contiguous(), None, 1, Dropout())
    for made in (normed[5], gelu[5], context[0]):
        assert made.isnan().any()
