"""The published classification head, and its exact twin in Hugging Face form.

The paper's classifier is dropout and one linear layer on the raw [CLS] vector; Hugging Face's puts a dense
layer and gelu between. Since ``gelu(x) - gelu(-x) = x``, a linear layer of ``L`` outputs is exactly a Hugging
Face head whose dense layer computes ``Wx`` and ``-Wx``: what was trained plain can be saved, loaded and
served like any other checkpoint.
"""

from __future__ import annotations

import torch
from torch import nn
from transformers import ElectraForSequenceClassification, PreTrainedModel

from training.errors import UserError


class PlainHead(nn.Module):
    """Dropout and a linear layer on the first token: ``[batch, tokens, hidden]`` -> ``[batch, labels]``."""

    def __init__(self, hidden: int, labels: int, dropout: float) -> None:
        super().__init__()
        self.dropout = nn.Dropout(dropout)
        self.out_proj = nn.Linear(hidden, labels)
        # Glorot, as the reference's tf.layers.dense left at its default.
        nn.init.xavier_uniform_(self.out_proj.weight)
        nn.init.zeros_(self.out_proj.bias)

    def forward(self, features: torch.Tensor, **_: object) -> torch.Tensor:
        logits: torch.Tensor = self.out_proj(self.dropout(features[:, 0]))
        return logits


def use_plain_head(model: ElectraForSequenceClassification) -> None:
    """Replace the model's head.

    Raises:
        UserError: more labels than the Hugging Face form could hold.
    """
    config = model.config
    if 2 * config.num_labels > config.hidden_size:
        raise UserError(
            f"head: plain can hold {config.hidden_size // 2} labels with hidden size {config.hidden_size}, "
            f"not {config.num_labels}; use head: hugging_face"
        )
    dropout = config.hidden_dropout_prob if config.classifier_dropout is None else config.classifier_dropout
    model.classifier = PlainHead(config.hidden_size, config.num_labels, dropout)


def to_hugging_face_head(model: PreTrainedModel) -> None:
    """Turn a ``PlainHead`` into the Hugging Face head that computes the same logits; any other head stays."""
    plain = getattr(model, "classifier", None)
    if not isinstance(plain, PlainHead):
        return
    fresh = ElectraForSequenceClassification(model.config).classifier
    labels = plain.out_proj.out_features
    with torch.no_grad():
        for parameter in fresh.parameters():
            parameter.zero_()
        fresh.dense.weight[:labels] = plain.out_proj.weight
        fresh.dense.weight[labels : 2 * labels] = -plain.out_proj.weight
        identity = torch.eye(labels)
        fresh.out_proj.weight[:, :labels] = identity
        fresh.out_proj.weight[:, labels : 2 * labels] = -identity
        fresh.out_proj.bias.copy_(plain.out_proj.bias)
    model.classifier = fresh
