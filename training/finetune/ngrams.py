"""The n-grams of a fine-tuning: fitted on train, weighed on dev beside the network that was chosen."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch

from training.errors import UserError
from training.finetune.data import RunData
from training.finetune.features import FeatureBuilder
from training.finetune.losses import class_weights
from training.finetune.metrics import score
from training.finetune.model import read_config
from training.finetune.predict import ngram_logits
from training.finetune.seed_run import RunParts, seed_logits
from training.ngrams.fit import fit_ngrams, weigh
from training.ngrams.model import NgramClassifier
from training.tokenizer import special_tokens


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
    given = class_weights(config.class_weights, config.task, parts.labels, train)
    weights = None if given is None else given.numpy().astype(np.float64)
    special = special_tokens(parts.tokenizer)
    try:
        ngrams = fit_ngrams(
            [row.input_ids for row in train],
            np.stack([row.target for row in train]),
            vocabulary=model_config.vocab_size,
            special=[special.cls, special.sep, special.pad],
            longest=config.ngrams,
            terms=config.ngram_terms,
            class_weights=weights,
        )
    except ValueError as error:
        raise UserError(
            f"ngrams: none can be fitted on train ({error}); give more rows, or set ngrams to 0"
        ) from None
    answers = {}
    for name, split in (("dev", parts.dev), ("test", parts.test)):
        if split.features:
            whole = builder.build(split.examples)
            network = np.stack(seed_logits(parts, place, whole))
            answers[name] = (split.examples, whole, network, ngram_logits(ngrams, whole, parts.pad_id))
    _, features, of_network, of_ngrams = answers["dev"]
    shares = weigh(of_network, of_ngrams, np.stack([row.target for row in features]), weights)
    ngrams.shares.copy_(torch.tensor(shares))
    report: dict[str, Any] = {"terms": ngrams.terms, "shares": {"network": shares[0], "ngrams": shares[1]}}
    for name, (examples, features, network, counted) in answers.items():
        kinds = {"network": network, "ngrams": counted, "together": shares[0] * network + shares[1] * counted}
        report[name] = {
            kind: score(config.task, parts.labels, examples, features, list(logits))
            for kind, logits in kinds.items()
        }
    return ngrams, report
