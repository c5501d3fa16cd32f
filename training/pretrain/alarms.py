"""Has one of the networks failed? What a person should know, in plain words."""

from __future__ import annotations

import math

from training.pretrain.health import Health

History = list[tuple[int, Health]]

_BLIND = 0.5  # nats below blind guessing that are no learning
_FREQUENT = 0.15  # nats below guessing by frequency, likewise
_WORSE = 0.5  # nats
_CHANCE = 0.53  # AUROC of a discriminator that has learnt nothing
_POOR = 0.6  # AUROC of one that may only answer "original"
_HARDLY = 0.01  # of the replaced tokens: so few flags are as good as none


def alarms(history: History, warmup_steps: int, vocab_size: int) -> list[str]:
    """What is wrong; empty while all is well.

    Judged after warm-up, and only when two evaluations agree, so that one noisy figure raises nothing.
    """
    late = [(step, health) for step, health in history if step > max(warmup_steps, 1)]
    if not late or len(history) < 2:
        return []
    found = [_of_the_generator(history, late, vocab_size), _of_the_discriminator(late)]
    return [text for text in found if text]


def _of_the_generator(history: History, late: History, vocab_size: int) -> str:
    # Held-out rows are many: one figure after warm-up is enough where the one before it was no better.
    (_, earlier), (step, now) = history[-2:]
    loss, ceiling = min(now.generator_loss, earlier.generator_loss), math.log(vocab_size)
    first_step, first = late[0]
    if loss > ceiling - _BLIND:
        return (
            f"the generator does not learn: its held-out loss is {now.generator_loss:.2f} at step {step}, "
            f"and guessing blindly costs {ceiling:.2f}; lower the learning rate or check that the text fits "
            "the tokenizer"
        )
    if loss > now.frequency_loss - _FREQUENT:
        return (
            f"the generator has learnt how frequent words are and no more: its held-out loss is "
            f"{now.generator_loss:.2f} at step {step}, and guessing by frequency costs "
            f"{now.frequency_loss:.2f}; train longer, change the learning rate, or start from counts "
            "(word_initialization: cooccurrence, model.attention_initialization: local)"
        )
    if len(late) >= 4 and now.generator_loss > first.generator_loss + _WORSE:
        return (
            f"the generator gets worse: held-out loss {now.generator_loss:.2f} at step {step}, "
            f"{first.generator_loss:.2f} at step {first_step}; lower the learning rate"
        )
    return ""


def _of_the_discriminator(late: History) -> str:
    if len(late) < 2:
        return ""
    (before, earlier), (step, now) = late[-2:]
    if math.isnan(now.auroc) and math.isnan(earlier.auroc):
        return (
            f"the discriminator has nothing to tell apart: {now.replaced_rate:.0%} of the held-out tokens "
            f"are replaced at step {step}; make the generator smaller, or use more and more varied text"
        )
    best = max(now.auroc, earlier.auroc)
    if best < _CHANCE and len(late) >= 3:
        return (
            f"the discriminator cannot tell replaced from original tokens: AUROC {earlier.auroc:.3f} at step "
            f"{before}, {now.auroc:.3f} at step {step} (0.5 is chance); train longer, or make the generator "
            "smaller"
        )
    if best < _POOR and all(h.flagged_rate <= _HARDLY * h.replaced_rate for h in (earlier, now)):
        return (
            f"the discriminator answers 'original' for (nearly) every token at step {step} (AUROC "
            f"{now.auroc:.3f}): it has collapsed to the majority class; make the generator smaller or train "
            "longer"
        )
    return ""
