"""One optimiser update: both losses of a batch, in pieces where it is large, their gradients, Adam."""

from __future__ import annotations

import numpy as np
import torch
from torch import distributed

from training.electra.losses import Batch
from training.electra.schedule import learning_rate
from training.pretrain.batches import split_rows
from training.pretrain.meter import not_finite
from training.pretrain.parallel import average_gradients, exchange_and_clip, loss_scale, settle
from training.pretrain.setup import Run


def update(run: Run, batch: Batch, context: torch.autocast) -> dict[str, torch.Tensor]:
    """One update at the rate of its step; returns device scalars: nothing waits for the device here."""
    set_rate(run)
    if run.place.world > 1:
        torch.manual_seed(step_seed(run.config.seed, run.step, run.place.rank))
    totals = compute(run, batch, context)
    phase = run.config.phases[run.position[0]]
    run.tokens += phase.rows * phase.length
    return totals


def step_seed(seed: int, step: int, rank: int) -> int:
    """What dropout draws from where there are several processes: each drops other values, and one that was
    killed goes on with the same.
    """
    return int(np.random.SeedSequence([seed, step, rank]).generate_state(1, np.uint64)[0] >> 1)


def set_rate(run: Run) -> None:
    """Set the learning rate of the coming update."""
    config = run.config
    rate = learning_rate(
        run.step, config.learning_rate, config.warmup_steps, config.total_steps, config.end_fraction
    )
    for group in run.optimizer.param_groups:
        group["lr"] = rate
    if run.optimizer.rate is not None:
        run.optimizer.rate.fill_(rate)


def compute(run: Run, batch: Batch, context: torch.autocast) -> dict[str, torch.Tensor]:
    """The device's part of an update: no number that changes between updates comes from the host here."""
    config, scale = run.config, loss_scale(run.wrapped, run.place)
    counts = torch.stack([batch.masked_weights.sum(), (batch.segments > 0).sum().float()])
    if run.place.world > 1:
        distributed.all_reduce(counts)
    totals: dict[str, torch.Tensor] = {}
    pieces = list(split_rows(batch, config.micro_rows))
    for number, piece in enumerate(pieces):
        average_gradients(run.wrapped, last=number == len(pieces) - 1)
        with context:
            loss, sums = run.wrapped(piece, counts[0], counts[1])
        # The loss is normalised by global counts already.
        (loss * scale).backward()
        parts = {
            "loss": loss.detach(),
            "generator_loss": sums.generator.detach() / counts[0],
            "discriminator_loss": sums.discriminator.detach() / counts[1],
            "generator_sampled_accuracy": sums.sampled_correct / counts[0],
            "replaced_rate": sums.labels.sum() / counts[1],
        }
        totals = {key: totals.get(key, 0) + value for key, value in parts.items()}
    totals["gradient_norm"] = exchange_and_clip(run.wrapped, config.clip_norm)
    if run.place.device.type == "cpu" and not bool(totals["gradient_norm"].isfinite()):
        raise not_finite(run)
    run.optimizer.step()
    settle(run.wrapped)
    run.optimizer.zero_grad(set_to_none=True)
    return totals
