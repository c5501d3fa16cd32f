"""The joint objective: masked language modelling for the generator, replaced-token detection for the
discriminator.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from training.electra.cross_entropy import cross_entropy, cross_entropy_and_draw
from training.electra.model import Electra
from training.electra.native import vocabulary
from training.electra.sampling import sample_tokens


@dataclass(frozen=True)
class Batch:
    """Packed rows and their masked positions, on one device.

    Attributes:
        ids: int64 ``[batch, tokens]``, original ids.
        segments: int64 ``[batch, tokens]``, 0 for padding, then one number a document.
        positions: int64 ``[batch, tokens]``, position inside the document.
        masked: int64 ``[masked]``, masked positions as indices into the flattened ``[batch * tokens]``.
        masked_weights: float32 ``[masked]``, 0 for unused entries.
        masked_keep: bool ``[masked]``.
        uniforms: float32 ``[masked]``.
        packed: whether attention needs a mask at all (false: every row is one full document).
    """

    ids: Tensor
    segments: Tensor
    positions: Tensor
    masked: Tensor
    masked_weights: Tensor
    masked_keep: Tensor
    uniforms: Tensor
    packed: bool


@dataclass(frozen=True)
class Sums:
    """Loss sums and what they are to be divided by, so that any split of a batch gives the same loss.

    Attributes:
        generator, discriminator: summed losses, 0-dim.
        masked, tokens: how many masked positions and non-padding tokens they were summed over, 0-dim.
        logits: float32 ``[batch, tokens]``, the discriminator's; detached.
        labels: bool ``[batch, tokens]``, true where the id changed.
        sampled_correct: float32 0-dim, masked positions where the generator drew the original.
        argmax_correct: the same for its most probable token; None unless asked for.
    """

    generator: Tensor
    discriminator: Tensor
    masked: Tensor
    tokens: Tensor
    logits: Tensor
    labels: Tensor
    sampled_correct: Tensor
    argmax_correct: Tensor | None


def masked_input(batch: Batch, mask_id: int) -> Tensor:
    """What the generator sees: ``[batch, tokens]`` ids with [MASK] at the masked, not kept positions."""
    flat = batch.ids.reshape(-1)
    original = flat[batch.masked]
    hidden = (batch.masked_weights > 0) & ~batch.masked_keep
    replacement = torch.where(hidden, torch.full_like(original, mask_id), original)
    # An unused entry points at a real position; it writes nothing there, for addition is all that happens.
    return flat.scatter_add(0, batch.masked, (replacement - original) * hidden).view_as(batch.ids)


def corrupted_input(batch: Batch, sampled: Tensor) -> Tensor:
    """What the discriminator sees: the original ids with the sampled tokens put in; no [MASK] is left."""
    flat = batch.ids.reshape(-1)
    difference = (sampled - flat[batch.masked]) * (batch.masked_weights > 0)
    return flat.scatter_add(0, batch.masked, difference).view_as(batch.ids)


def joint_forward(
    model: Electra,
    batch: Batch,
    mask_id: int,
    *,
    temperature: float = 1.0,
    disallow_correct: bool = False,
    noise_share: float = 0.0,
    with_argmax: bool = False,
) -> Sums:
    """One pass of both networks over ``batch`` (Clark et al. 2020, section 2).

    ``noise_share`` of the replacements are drawn by the words' frequency alone (the generator's output bias).

    Sampling breaks the gradient: nothing flows from the discriminator's loss into the generator but through
    shared tables.
    """
    segments = batch.segments if batch.packed else None
    hidden = model.generator(masked_input(batch, mask_id), batch.positions, segments)
    hidden = hidden.reshape(-1, hidden.shape[-1])[batch.masked]
    target = batch.ids.reshape(-1)[batch.masked]
    head, argmax = model.generator_head, None
    table, as_it_is = head.word_embeddings.weight, temperature == 1.0 and not disallow_correct
    if as_it_is and not with_argmax and head.native and vocabulary.fits(table):
        noisy, uniforms = _shared_out(batch.uniforms, noise_share)
        words = (table, head.bias, target, uniforms)
        losses, sampled = vocabulary.cross_entropy_and_draw(head.transform(hidden), *words)
        if noise_share:
            with torch.no_grad():  # nothing but the bias is left of the logits
                nothing = table.new_zeros(len(target), table.shape[1])
                by_frequency = vocabulary.cross_entropy_and_draw(nothing, *words)[1]
                sampled = torch.where(noisy, by_frequency, sampled)
    else:
        logits = head(hidden)
        argmax = logits.detach().argmax(-1) if with_argmax else None
        if as_it_is and noise_share == 0:
            losses, sampled = cross_entropy_and_draw(logits, target, batch.uniforms)
        else:
            losses = cross_entropy(logits, target)
            with torch.no_grad():
                noisy, uniforms = _shared_out(batch.uniforms, noise_share)
                bias = head.bias.to(logits.dtype)
                drawn_from = torch.where(noisy[:, None], bias, logits) if noise_share else logits
                forbid = target if disallow_correct else None
                sampled = sample_tokens(drawn_from, uniforms, temperature, forbid)
    generator = (losses * batch.masked_weights).sum()
    with torch.no_grad():
        corrupted = corrupted_input(batch, sampled)
        labels = corrupted != batch.ids
        sampled_correct = ((sampled == target) * batch.masked_weights).sum()
        argmax_correct = None if argmax is None else ((argmax == target) * batch.masked_weights).sum()
    scores = model.discriminator_head(model.discriminator(corrupted, batch.positions, segments))
    real = (batch.segments > 0).float()
    per_token = F.binary_cross_entropy_with_logits(scores, labels.float(), reduction="none")
    return Sums(
        generator=generator,
        discriminator=(per_token * real).sum(),
        masked=batch.masked_weights.sum(),
        tokens=real.sum(),
        logits=scores.detach(),
        labels=labels,
        sampled_correct=sampled_correct,
        argmax_correct=argmax_correct,
    )


def _shared_out(uniforms: Tensor, share: float) -> tuple[Tensor, Tensor]:
    """A ``share`` of ``[masked]`` to be drawn by frequency, and uniform numbers to draw all by: what that
    choice leaves of the given ones, so that every word, however rare, can come of either.
    """
    noisy = uniforms < share
    left = torch.where(noisy, uniforms / max(share, 1e-9), (uniforms - share) / max(1 - share, 1e-9))
    return noisy, left


def joint_loss(model: Electra, sums: Sums, masked: Tensor | float, tokens: Tensor | float) -> Tensor:
    """``generator / masked + 50 * discriminator / tokens``, normalised by the counts of the *whole* batch."""
    config = model.config
    return (
        config.generator_weight * sums.generator / masked
        + config.discriminator_weight * sums.discriminator / tokens
    )
