"""What the networks see, what counts as replaced, and how losses are normalised."""

from dataclasses import replace
from unittest import mock

import numpy as np
import pytest
import torch

from tests.training.electra.test_model import TINY
from training.electra.losses import (
    Batch,
    Sums,
    _shared_out,
    corrupted_input,
    joint_forward,
    joint_loss,
    masked_input,
)
from training.electra.masking import choose_masked
from training.electra.model import Electra
from training.pretrain.batches import split_rows

MASK = 4


def make_batch(rows: int = 8, length: int = 24, seed: int = 0, padded: bool = True) -> Batch:
    random = np.random.default_rng(seed)
    ids = random.integers(5, 120, (rows, length))
    segments = np.ones((rows, length), np.int64)
    if padded:
        for row in range(rows):
            segments[row, length - row % 5 :] = 0
        ids[segments == 0] = 0
    ids[:, 0] = 2
    maskable = (segments > 0) & (ids > 4)
    chosen = choose_masked(maskable, segments.sum(1), 0.15, 4, random)
    flat = chosen.positions + np.arange(rows)[:, None] * length
    return Batch(
        ids=torch.from_numpy(ids),
        segments=torch.from_numpy(segments),
        positions=torch.arange(length).expand(rows, length).clone(),
        masked=torch.from_numpy(flat.reshape(-1)),
        masked_weights=torch.from_numpy(chosen.weights.reshape(-1)),
        masked_keep=torch.from_numpy(chosen.keep.reshape(-1)),
        uniforms=torch.from_numpy(chosen.uniforms.reshape(-1).astype(np.float32)),
        packed=padded,
    )


def used(batch: Batch) -> torch.Tensor:
    return batch.masked[batch.masked_weights > 0]


def test_generator_input_hides_the_masked_and_keeps_the_rest() -> None:
    batch = make_batch()
    seen = masked_input(batch, MASK).reshape(-1)
    hidden = batch.masked[(batch.masked_weights > 0) & ~batch.masked_keep]
    assert (seen[hidden] == MASK).all()
    others = torch.ones(seen.numel(), dtype=torch.bool)
    others[hidden] = False
    assert torch.equal(seen[others], batch.ids.reshape(-1)[others])


def test_discriminator_input_comes_from_the_original_and_holds_no_mask() -> None:
    batch = make_batch()
    sampled = torch.full_like(batch.masked, 77)
    corrupted = corrupted_input(batch, sampled).reshape(-1)
    assert not (corrupted == MASK).any()
    # Kept positions are resampled too.
    assert (corrupted[used(batch)] == 77).all()
    untouched = torch.ones(corrupted.numel(), dtype=torch.bool)
    untouched[used(batch)] = False
    assert torch.equal(corrupted[untouched], batch.ids.reshape(-1)[untouched])


def test_a_label_is_one_only_where_the_id_changed() -> None:
    batch, model = make_batch(), Electra(TINY).eval()
    sums = joint_forward(model, batch, MASK)
    changed = sums.labels.reshape(-1)
    outside = torch.ones(changed.numel(), dtype=torch.bool)
    outside[used(batch)] = False
    assert not changed[outside].any()
    # A drawn original is no replacement: replaced + correct = masked.
    assert changed.sum() + sums.sampled_correct == sums.masked


def test_padding_has_no_part_in_the_loss() -> None:
    model = Electra(TINY).eval()
    batch = make_batch()
    changed = batch.ids.clone()
    changed[batch.segments == 0] = 99
    other = replace(batch, ids=changed)
    one, two = joint_forward(model, batch, MASK), joint_forward(model, other, MASK)
    assert one.tokens == (batch.segments > 0).sum()
    torch.testing.assert_close(one.discriminator, two.discriminator)


@pytest.mark.parametrize("micro_rows", [1, 3, 4])
def test_any_split_of_a_batch_gives_the_same_gradients(micro_rows: int) -> None:
    torch.manual_seed(0)
    model = Electra(TINY)
    batch = make_batch()
    masked, tokens = batch.masked_weights.sum(), (batch.segments > 0).sum()

    def gradients(pieces: list[Batch]) -> tuple[float, dict[str, torch.Tensor]]:
        model.zero_grad()
        total = 0.0
        for piece in pieces:
            loss = joint_loss(model, joint_forward(model, piece, MASK), masked, tokens)
            loss.backward()
            total += loss.item()
        return total, {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}

    whole_loss, whole = gradients([batch])
    split_loss, split = gradients(list(split_rows(batch, micro_rows)))
    assert split_loss == pytest.approx(whole_loss, abs=2e-5)
    for name, gradient in whole.items():
        torch.testing.assert_close(split[name], gradient, atol=1e-6, rtol=1e-4)


@pytest.mark.parametrize(("sharing", "reaches_words"), [("shared", True), ("gdes", False), ("none", False)])
def test_discriminator_loss_reaches_the_generator_through_shared_tables_only(
    sharing: str, reaches_words: bool
) -> None:
    model = Electra(replace(TINY, embedding_sharing=sharing))
    joint_forward(model, make_batch(), MASK).discriminator.backward()
    for name, parameter in model.generator.named_parameters():
        if name.startswith("embeddings."):
            continue
        assert parameter.grad is None or not parameter.grad.any(), name
    words = model.generator.embeddings.word_embeddings.weight.grad
    assert (words is not None and bool(words.any())) == reaches_words
    assert any(p.grad is not None and p.grad.any() for p in model.discriminator.parameters())


def test_weights_of_the_two_losses_are_one_and_fifty() -> None:
    model = Electra(TINY).eval()
    sums = joint_forward(model, make_batch(), MASK)
    expected = sums.generator / 10 + 50 * sums.discriminator / 20
    torch.testing.assert_close(joint_loss(model, sums, 10, 20), expected)


@pytest.mark.parametrize("options", [{}, {"temperature": 0.5}], ids=["plain", "with options"])
def test_accuracies_count_used_entries_alone(options: dict[str, float]) -> None:
    """An entry without a weight points at a position too, and the generator may well guess it."""
    torch.manual_seed(0)
    model = Electra(TINY).eval()
    batch = make_batch(rows=60)
    unused = np.random.default_rng(1).random(len(batch.masked)) < 0.4
    batch = replace(batch, masked_weights=batch.masked_weights * torch.from_numpy(~unused))
    # Nearly sure of words 20 to 24, so that some guesses are right among the used and the unused.
    with torch.no_grad():
        model.generator_head.bias[20:25] = 6.0
        batch.ids[:, 1:] = torch.where(batch.ids[:, 1:] > 4, batch.ids[:, 1:] % 5 + 20, batch.ids[:, 1:])
        sums, logits, drawn = joint_forward_with_draws(model, batch, options)
    rows, places = np.divmod(batch.masked.numpy(), batch.ids.shape[1])
    target, used = batch.ids.numpy()[rows, places], batch.masked_weights.numpy() > 0
    for correct, found in (
        (drawn == target, sums.sampled_correct),
        (logits.argmax(-1) == target, sums.argmax_correct),
    ):
        assert 0 < (correct & used).sum() < used.sum()
        assert (correct & ~used).any()
        assert float(found) == (correct & used).sum()
    assert float(sums.masked) == used.sum()


def joint_forward_with_draws(
    model: Electra, batch: Batch, options: dict[str, float]
) -> tuple[Sums, np.ndarray, np.ndarray]:
    """The sums, the generator's logits ``[masked, vocabulary]``, and the tokens drawn ``[masked]``."""
    seen: dict[str, np.ndarray] = {}

    def record(batch: Batch, sampled: torch.Tensor) -> torch.Tensor:
        seen["drawn"] = sampled.numpy().copy()
        return corrupted_input(batch, sampled)

    hook = model.generator_head.register_forward_hook(
        lambda _module, _inputs, logits: seen.update(logits=logits.numpy().copy())
    )
    with mock.patch("training.electra.losses.corrupted_input", record):
        sums = joint_forward(model, batch, MASK, with_argmax=True, **options)
    hook.remove()
    return sums, seen["logits"], seen["drawn"]


def test_the_most_probable_token_is_looked_for_only_when_asked() -> None:
    assert joint_forward(Electra(TINY), make_batch(), MASK).argmax_correct is None


@pytest.mark.parametrize(("share", "expected"), [(0.0, 0.0), (0.3, 0.3), (1.0, 1.0)])
def test_a_share_of_the_replacements_is_drawn_by_frequency(share: float, expected: float) -> None:
    torch.manual_seed(0)
    model = Electra(replace(TINY, generator_layers=1)).eval()
    # Word 50 is all that the frequency knows, word 60 all that the network says.
    with torch.no_grad():
        model.generator_head.word_embeddings.weight.zero_()
        model.generator_head.bias.fill_(-30.0)
        model.generator_head.bias[50] = 30.0
        model.generator_head.LayerNorm.weight.zero_()
        model.generator_head.LayerNorm.bias.fill_(1.0)
        model.generator_head.word_embeddings.weight[60] = 10.0
    batch = make_batch(rows=400)
    drawn = []

    def record(batch: Batch, sampled: torch.Tensor) -> torch.Tensor:
        drawn.append(sampled)
        return corrupted_input(batch, sampled)

    with mock.patch("training.electra.losses.corrupted_input", record):
        joint_forward(model, batch, MASK, noise_share=share)
    tokens = drawn[0][batch.masked_weights > 0]
    assert set(tokens.tolist()) <= {50, 60}
    # Five standard errors.
    error = 5 * (expected * (1 - expected) / len(tokens)) ** 0.5
    assert float((tokens == 50).float().mean()) == pytest.approx(expected, abs=error + 1e-9)


@pytest.mark.parametrize("share", [0.0, 0.15, 0.5, 1.0])
def test_what_noise_leaves_of_a_uniform_number_is_one(share: float) -> None:
    """Down to the rarest words: where both came of the same digits half of these were never drawn."""
    uniforms = (torch.arange(2**20) + 0.5) / 2**20
    noisy, left = _shared_out(uniforms, share)
    assert abs(float(noisy.float().mean()) - share) < 1e-5
    for part in (left[noisy], left[~noisy]):
        counts = torch.bincount((part * 20_000).long().clamp(max=19_999), minlength=20_000)
        if len(part):
            assert float((counts - len(part) / 20_000).abs().max()) <= 2
