"""The n-grams of a fine-tuning: fitted on train, weighed on dev beside the network that was chosen."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from training.errors import UserError
from training.finetune.data import RunData
from training.finetune.features import Feature, FeatureBuilder, collate
from training.finetune.metrics import score
from training.finetune.model import read_config
from training.finetune.predict import length_batches
from training.finetune.seed_run import RunParts, seed_logits
from training.ngrams.fit import fit_ngrams, weigh
from training.ngrams.model import NgramClassifier

_BUDGET = 65536  # padded tokens looked up at once


def add_ngrams(data: RunData, parts: RunParts, place: Path) -> tuple[NgramClassifier, dict[str, Any]]:
    """Fit and weigh n-grams for the model in ``place/model``.

    Both are asked about whole texts here, as the service reads them, though the network was trained on the
    first ``max_tokens``.

    Raises:
        UserError: train has no n-gram that counts.

    Returns:
        The n-grams, and for the report: terms, shares, and per split the figures of the network, of n-grams
        alone and of both together.
    """
    config = parts.config
    model_config = read_config(Path(config.checkpoint))
    builder = FeatureBuilder(parts.tokenizer, config.task, parts.labels, model_config.max_position_embeddings)
    train = builder.build(data.train)
    try:
        ngrams = fit_ngrams(
            [row.input_ids for row in train],
            np.stack([row.target for row in train]),
            vocabulary=model_config.vocab_size,
            special=[parts.tokenizer.token_to_id(f"[{name}]") for name in ("CLS", "SEP", "PAD")],
            longest=config.ngrams,
            terms=config.ngram_terms,
        )
    except ValueError as error:
        raise UserError(
            f"ngrams: none can be fitted on train ({error}); give more rows, or set ngrams to 0"
        ) from None
    answers = {
        name: (split.examples, *_answers(ngrams, parts, place, builder.build(split.examples)))
        for name, split in (("dev", parts.dev), ("test", parts.test))
        if split.features
    }
    _, features, *both = answers["dev"]
    shares = weigh(*both, np.stack([row.target for row in features]))
    ngrams.shares.copy_(torch.tensor(shares))
    report: dict[str, Any] = {"terms": ngrams.terms, "shares": {"network": shares[0], "ngrams": shares[1]}}
    for name, (examples, features, network, counted) in answers.items():
        kinds = {"network": network, "ngrams": counted, "together": shares[0] * network + shares[1] * counted}
        report[name] = {
            kind: score(config.task, parts.labels, examples, features, list(logits))
            for kind, logits in kinds.items()
        }
    return ngrams, report


def _answers(
    ngrams: NgramClassifier, parts: RunParts, place: Path, whole: Sequence[Feature]
) -> tuple[Sequence[Feature], np.ndarray, np.ndarray]:
    """``whole``, and logits ``[rows, labels]`` of the network and of the n-grams."""
    counted = np.zeros((len(whole), len(parts.labels)), np.float32)
    with torch.inference_mode():
        for batch in length_batches([len(row) for row in whole], _BUDGET):
            ids = collate([whole[at] for at in batch], parts.pad_id)["input_ids"]
            counted[batch] = ngrams(ids).numpy()
    return whole, np.stack(seed_logits(parts, place, whole)), counted
