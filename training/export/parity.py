"""Does the graph compute what the checkpoint computes?"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from app.bundle import GraphName
from app.runtime.batch import collate
from app.scheduler.engine import RequestContext
from app.tasks.local import batches_by_length
from app.tasks.model import ServedModel
from app.text.sequence import TokenSequence
from training.errors import UserError
from training.export.checkpoint import Checkpoint
from training.export.graphs import EncoderGraph

_PADDED_TOKENS = 4096
_HIDDEN_FACTOR = 10.0  # hidden values are about ten times as large as logits


@dataclass(frozen=True)
class Parity:
    """Largest differences over ``texts`` real texts, and decisions that differ (never more than 0)."""

    texts: int
    longest: int
    logits: float
    hidden: float
    decisions: int

    def __str__(self) -> str:
        return (
            f"{self.texts} texts up to {self.longest} tokens: logits within {self.logits:.1e}, "
            f"{self.decisions} decisions differ"
        )


def check_parity(
    model: ServedModel, checkpoint: Checkpoint, sequences: Sequence[TokenSequence], tolerance: float
) -> Parity:
    """Compare the fp32 graph, as it is served, with the checkpoint's own ``forward``.

    Raises:
        UserError: a logit differs by more than ``tolerance``, or a decision differs.
    """
    graph: GraphName = "generator" if checkpoint.kind == "generator" else "model"
    logits = hidden = 0.0
    different = 0
    # Batches of mixed lengths, so that padding is part of the comparison.
    for start in range(0, len(sequences), 64):
        part = list(sequences[start : start + 64])
        served = asyncio.run(model.engine.infer(part, RequestContext(), graph=graph))
        truth = _forward(checkpoint, part, model)
        for ours, theirs in zip(served, truth, strict=True):
            logits = max(logits, float(np.abs(ours["logits"] - theirs["logits"]).max()))
            if "hidden" in theirs:
                hidden = max(hidden, float(np.abs(ours["hidden"] - theirs["hidden"]).max()))
            different += _decisions_differ(checkpoint, ours["logits"], theirs["logits"], tolerance)
    result = Parity(len(sequences), max(map(len, sequences)), logits, hidden, different)
    if not logits <= tolerance or not hidden <= tolerance * _HIDDEN_FACTOR or different:
        raise UserError(
            f"{checkpoint.path}: the {graph} graph differs from the checkpoint ({result}, hidden within "
            f"{hidden:.1e}); nothing was exported, report this with the checkpoint's config.json"
        )
    return result


def _forward(
    checkpoint: Checkpoint, sequences: list[TokenSequence], model: ServedModel
) -> list[dict[str, np.ndarray]]:
    """The checkpoint's own outputs, through transformers' own masks, in the order of ``sequences``."""
    results: list[dict[str, np.ndarray]] = [{} for _ in sequences]
    pooling = model.bundle.manifest.pooling
    layers = EncoderGraph(checkpoint.model, pooling.layers).layers if pooling else []
    for batch in batches_by_length([len(sequence) for sequence in sequences], _PADDED_TOKENS):
        rows = [sequences[index] for index in batch]
        feeds = collate(rows, model.encoder.special_tokens.pad)
        feeds.pop("positions", None)
        tensors = {name: torch.from_numpy(array) for name, array in feeds.items()}
        with torch.inference_mode():
            outputs = _outputs(checkpoint, tensors, rows, layers)
        for index, row in zip(batch, outputs, strict=True):
            results[index] = {name: tensor.numpy() for name, tensor in row.items()}
    return results


def _outputs(
    checkpoint: Checkpoint, tensors: dict[str, torch.Tensor], rows: list[TokenSequence], layers: list[int]
) -> list[dict[str, torch.Tensor]]:
    model = checkpoint.model
    if checkpoint.kind == "classifier":
        logits = model(**tensors).logits
        if checkpoint.ngrams is not None:
            logits = checkpoint.ngrams.join(logits, tensors["input_ids"])
        return [{"logits": row} for row in logits]
    if checkpoint.kind == "generator":
        # The head at the chosen positions only: at every token of 500 texts it would take most of the time.
        hidden = model.electra(**tensors).last_hidden_state
        chosen = [hidden[row, torch.from_numpy(sequence.positions)] for row, sequence in enumerate(rows)]
        return [{"logits": model.generator_lm_head(model.generator_predictions(part))} for part in chosen]
    output = model(**tensors, output_hidden_states=True)
    logits = output.logits
    if logits.ndim == 3:
        logits = logits[..., 1] - logits[..., 0]
    states = torch.stack([output.hidden_states[layer] for layer in layers]).mean(dim=0)
    return [
        {"logits": logits[row, : len(sequence)], "hidden": states[row, : len(sequence)]}
        for row, sequence in enumerate(rows)
    ]


def _decisions_differ(checkpoint: Checkpoint, ours: np.ndarray, theirs: np.ndarray, tolerance: float) -> int:
    """Decisions that differ although the checkpoint's margin is wider than the tolerance allows."""
    if checkpoint.kind == "discriminator" or checkpoint.problem_type == "multi_label":
        return int(((ours > 0) != (theirs > 0))[np.abs(theirs) > tolerance].sum())
    ordered = np.sort(theirs, axis=-1)
    clear = ordered[..., -1] - ordered[..., -2] > 2 * tolerance
    return int((ours.argmax(axis=-1) != theirs.argmax(axis=-1))[clear].sum())
