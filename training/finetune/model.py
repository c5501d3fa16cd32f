"""Checkpoints in and out: an ELECTRA directory to the model of a task, and back to a directory."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from safetensors import SafetensorError
from tokenizers import Tokenizer
from transformers import (
    ElectraConfig,
    ElectraForPreTraining,
    ElectraForSequenceClassification,
    ElectraForTokenClassification,
    PreTrainedModel,
)

from training.checkpoint_directory import read_checkpoint_values
from training.electra.huggingface import quiet_hub
from training.errors import UserError
from training.finetune.heads import to_hugging_face_head, use_plain_head
from training.tables import Task
from training.tokenizer import save_tokenizer

_CLASSES: dict[str, type[PreTrainedModel]] = {
    "single_label": ElectraForSequenceClassification,
    "multi_label": ElectraForSequenceClassification,
    "token_labels": ElectraForTokenClassification,
    "error_detection": ElectraForPreTraining,
}


def read_config(directory: Path) -> ElectraConfig:
    """The ``config.json`` of an ELECTRA checkpoint.

    Raises:
        UserError: not a directory, no readable config.json there, or another kind of model.
    """
    return ElectraConfig.from_dict(read_checkpoint_values(directory))


def load_model(
    directory: Path,
    task: Task,
    labels: Sequence[str],
    *,
    dropout: float | None = None,
    plain_head: bool = False,
) -> PreTrainedModel:
    """The checkpoint's encoder under the head of ``task``; a head that is new draws from torch's generator.

    Raises:
        UserError: no weights there, or weights that are not an ELECTRA encoder (a head may be missing).
    """
    config = read_config(directory)
    old_labels = [config.id2label[at] for at in range(config.num_labels)] if config.id2label else []
    if task != "error_detection":
        config.id2label = dict(enumerate(labels))
        config.label2id = {label: at for at, label in enumerate(labels)}
    if task in ("single_label", "multi_label"):
        config.problem_type = f"{task}_classification"
    if dropout is not None:
        config.hidden_dropout_prob = config.attention_probs_dropout_prob = dropout
    try:
        with quiet_hub():  # that a head is new is what fine-tuning means
            model, info = _CLASSES[task].from_pretrained(
                directory,
                config=config,
                dtype=torch.float32,
                ignore_mismatched_sizes=True,
                output_loading_info=True,
            )
    except (OSError, ValueError, RuntimeError, SafetensorError) as error:
        reason = str(error).strip().splitlines()[0]
        raise UserError(
            f"{directory}: weights cannot be loaded ({reason}); save the checkpoint again"
        ) from None
    mismatched = {str(item[0] if isinstance(item, tuple) else item) for item in info["mismatched_keys"]}
    lacking = sorted(name for name in {*info["missing_keys"], *mismatched} if name.startswith("electra."))
    if lacking:
        raise UserError(
            f"{directory}: {len(lacking)} encoder weights are missing or have another shape "
            f"(first: {lacking[0]}); give a whole checkpoint"
        )
    if task in ("single_label", "multi_label", "token_labels") and old_labels != list(labels):
        _fresh_head(model)  # a head of the same size for other labels would be a wrong start
    if plain_head:
        use_plain_head(model)
    return model


def _fresh_head(model: PreTrainedModel) -> None:
    for module in model.classifier.modules():
        if isinstance(module, torch.nn.Linear):
            torch.nn.init.normal_(module.weight, std=model.config.initializer_range)
            torch.nn.init.zeros_(module.bias)


def save_checkpoint(model: PreTrainedModel, tokenizer: Tokenizer, directory: Path) -> None:
    """Write config, safetensors and tokenizer: a directory that ``from_pretrained`` and our export load."""
    to_hugging_face_head(model)
    with quiet_hub():
        model.save_pretrained(directory)
    save_tokenizer(tokenizer, directory)
