"""Is it learning? Held-out figures for both networks."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass

import numpy as np
import torch

from training.electra.losses import Batch, Sums, joint_forward
from training.electra.model import Electra


@dataclass(frozen=True)
class Health:
    """Figures on held-out rows; padding is left out everywhere.

    ``generator_loss`` is in nats a masked token, accuracies and rates are shares, ``auroc`` and
    ``average_precision`` are of the discriminator telling replaced from original tokens. ``frequency_loss``
    is the generator's if it knew no more than how frequent words are (runs of before did not write it).
    """

    loss: float
    generator_loss: float
    generator_accuracy: float
    generator_sampled_accuracy: float
    discriminator_loss: float
    balanced_accuracy: float
    auroc: float
    average_precision: float
    replaced_rate: float
    flagged_rate: float
    frequency_loss: float = math.nan

    def to_dict(self) -> dict[str, float]:
        return asdict(self)


@torch.no_grad()
def evaluate(
    model: Electra,
    batches: Iterable[Batch],
    mask_id: int,
    autocast: torch.autocast,
    forward: Callable[[Batch], Sums] | None = None,
    log_probabilities: torch.Tensor | None = None,
) -> Health:
    """Run both networks over held-out batches, dropout off; ``forward`` does it for a sharded model.

    ``log_probabilities [vocabulary]`` are those of the tokens by frequency, for ``frequency_loss``.
    """
    from sklearn.metrics import average_precision_score, roc_auc_score

    was_training = model.training
    model.eval()
    total = np.zeros(6)
    by_frequency = 0.0
    scores, labels = [], []
    for batch in batches:
        if log_probabilities is not None:
            originals = batch.ids.reshape(-1)[batch.masked].cpu()
            by_frequency -= float((log_probabilities[originals] * batch.masked_weights.cpu()).sum())
        # Compiled layers would be compiled again for these rows.
        with autocast, torch.compiler.set_stance("force_eager"):
            sums = forward(batch) if forward else joint_forward(model, batch, mask_id, with_argmax=True)
        assert sums.argmax_correct is not None
        parts = (
            sums.generator,
            sums.discriminator,
            sums.masked,
            sums.tokens,
            sums.sampled_correct,
            sums.argmax_correct,
        )
        total += np.array([float(part) for part in parts])
        real = batch.segments > 0
        scores.append(sums.logits[real].float().cpu().numpy())
        labels.append(sums.labels[real].cpu().numpy())
    model.train(was_training)
    score, label = np.concatenate(scores), np.concatenate(labels)
    flagged = score > 0
    both = label.any() and not label.all()
    generator, discriminator, masked, tokens, sampled, argmax = total
    loss = (
        model.config.generator_weight * generator / masked
        + model.config.discriminator_weight * discriminator / tokens
    )
    return Health(
        loss=float(loss),
        generator_loss=float(generator / masked),
        generator_accuracy=float(argmax / masked),
        generator_sampled_accuracy=float(sampled / masked),
        discriminator_loss=float(discriminator / tokens),
        balanced_accuracy=float((flagged[label].mean() + (~flagged[~label]).mean()) / 2)
        if both
        else math.nan,
        auroc=float(roc_auc_score(label, score)) if both else math.nan,
        average_precision=float(average_precision_score(label, score)) if both else math.nan,
        replaced_rate=float(label.mean()),
        flagged_rate=float(flagged.mean()),
        frequency_loss=math.nan if log_probabilities is None else by_frequency / float(masked),
    )
