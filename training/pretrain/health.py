"""Is it learning? Held-out figures for both networks, and an alarm in plain words when one has failed."""

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
    ``average_precision`` are of the discriminator telling replaced from original tokens.
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

    def to_dict(self) -> dict[str, float]:
        return asdict(self)


@torch.no_grad()
def evaluate(
    model: Electra,
    batches: Iterable[Batch],
    mask_id: int,
    autocast: torch.autocast,
    forward: Callable[[Batch], Sums] | None = None,
) -> Health:
    """Run both networks over held-out batches, dropout off; ``forward`` does it for a sharded model."""
    from sklearn.metrics import average_precision_score, roc_auc_score

    was_training = model.training
    model.eval()
    total = np.zeros(6)
    scores, labels = [], []
    for batch in batches:
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
    )


def alarms(history: list[tuple[int, Health]], warmup_steps: int, vocab_size: int) -> list[str]:
    """What a person should know, in plain words; empty while all is well.

    Judged after warm-up, and only when two evaluations agree, so that one noisy figure raises nothing.
    """
    late = [(step, health) for step, health in history if step > max(warmup_steps, 1)]
    if len(late) < 2:
        return []
    found = []
    (before, earlier), (step, now) = late[-2], late[-1]
    ceiling = math.log(vocab_size)
    if now.generator_loss > ceiling - 0.5 and earlier.generator_loss > ceiling - 0.5:
        found.append(
            f"the generator does not learn: its held-out loss is {now.generator_loss:.2f} at "
            f"step {step}, and guessing "
            f"blindly costs {ceiling:.2f}; lower the learning rate or check that the text fits the tokenizer"
        )
    elif len(late) >= 4 and now.generator_loss > late[0][1].generator_loss + 0.5:
        found.append(
            f"the generator gets worse: held-out loss {now.generator_loss:.2f} at step {step}, "
            f"{late[0][1].generator_loss:.2f} at step {late[0][0]}; lower the learning rate"
        )
    if max(now.auroc, earlier.auroc) < 0.53 and len(late) >= 3:
        found.append(
            "the discriminator cannot tell replaced from original tokens: AUROC "
            f"{earlier.auroc:.3f} at step {before}, "
            f"{now.auroc:.3f} at step {step} (0.5 is chance); train longer, or make the generator smaller"
        )
    elif now.flagged_rate == 0 and earlier.flagged_rate == 0 and max(now.auroc, earlier.auroc) < 0.6:
        found.append(
            f"the discriminator answers 'original' for every token at step {step} (AUROC "
            f"{now.auroc:.3f}): it has "
            "collapsed to the majority class; make the generator smaller or train longer"
        )
    return found
