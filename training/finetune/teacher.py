"""Answers of a larger fine-tuned model, to be learned from."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from training.errors import UserError
from training.finetune.config import FinetuneConfig
from training.finetune.features import Feature, FeatureBuilder, check_vocabulary
from training.finetune.model import load_model, read_config
from training.finetune.predict import ngram_logits, predict_logits
from training.hardware import default_device
from training.ngrams.model import load_ngrams
from training.tables import TOKEN_TASKS, Example
from training.tokenizer import load_tokenizer, special_tokens


def teacher_logits(
    directory: Path,
    config: FinetuneConfig,
    labels: Sequence[str],
    examples: Sequence[Example],
    student: Sequence[Feature],
    *,
    bf16: bool = False,
) -> list[np.ndarray]:
    """The teacher's logits for every row of ``student``, columns in the order of ``labels``.

    The teacher reads the texts with its own tokenizer; for token tasks it must share the student's.

    Raises:
        UserError: no such checkpoint, other labels, or (token tasks) another tokenizer.
    """
    teacher_config = read_config(directory)
    order = list(range(len(labels)))
    theirs = list(labels)
    if config.task != "error_detection":
        theirs = [str(teacher_config.id2label[at]) for at in range(teacher_config.num_labels)]
        if sorted(theirs) != sorted(labels):
            raise UserError(
                f"{directory}: the teacher's labels are {', '.join(theirs[:20])}, those of train "
                f"{', '.join(labels[:20])}; give a teacher of the same task (label_names renames)"
            )
        order = [theirs.index(label) for label in labels]
    tokenizer = load_tokenizer(directory)
    check_vocabulary(tokenizer, teacher_config.vocab_size, str(directory))
    longest = min(config.max_tokens, teacher_config.max_position_embeddings)
    builder = FeatureBuilder(tokenizer, config.task, labels, longest)
    rows = builder.build(examples, labelled=config.task in TOKEN_TASKS)
    if config.task in TOKEN_TASKS and not _same_rows(rows, student):
        raise UserError(
            f"{directory}: the teacher has another tokenizer; for {config.task} both must share one"
        )
    model = load_model(directory, config.task, theirs).to(default_device())
    model.eval()
    logits = predict_logits(model, rows, special_tokens(tokenizer).pad, bf16=bf16)
    ngrams = load_ngrams(directory, len(theirs)) if config.task not in TOKEN_TASKS else None
    if ngrams is not None:
        counted = ngram_logits(ngrams, rows, special_tokens(tokenizer).pad)
        network_share, ngram_share = ngrams.shares.numpy()
        logits = list(network_share * np.stack(logits) + ngram_share * counted)
    del model
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    return logits if config.task == "error_detection" else [row[..., order] for row in logits]


def _same_rows(one: Sequence[Feature], other: Sequence[Feature]) -> bool:
    return len(one) == len(other) and all(
        np.array_equal(a.input_ids, b.input_ids) for a, b in zip(one, other, strict=True)
    )
