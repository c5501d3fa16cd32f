"""Pretraining's attention, dropout and kernels under Hugging Face's modules: far less time on a CPU."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import AttentionInterface, PreTrainedModel
from transformers.masking_utils import AttentionMaskInterface, sdpa_mask
from transformers.modeling_outputs import BaseModelOutputWithPastAndCrossAttentions as EncoderOutput
from transformers.models.electra.modeling_electra import ElectraEncoder, ElectraLayer

from training.electra.attention import attend
from training.electra.dropout import dropout
from training.electra.native.kernels import EDGE, bfloat16_on_cpu
from training.electra.native.layer import LayerParameters, LayerSettings, fits, run_layer, sizes_fit
from training.electra.native.library import usable
from training.hardware import default_device

_NAME = "electra_platform"


class FastDropout(nn.Dropout):
    """``nn.Dropout`` by :func:`training.electra.dropout.dropout`."""

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        return dropout(input, self.p, self.training)


class FastEncoder(ElectraEncoder):
    """``ElectraEncoder`` by ``training.electra.native`` wherever its kernels fit. Where they run, states of
    single layers are not recorded (``output_hidden_states``).
    """

    def forward(
        self, hidden_states: Tensor, attention_mask: Tensor | None = None, **rest: Any
    ) -> EncoderOutput:
        """``hidden_states [batch, tokens, width]``; the mask as ``sdpa_mask`` makes it of padding."""
        config, tokens = self.config, hidden_states.shape[1]
        # Rows of whole blocks: what is added is a document of its own, as padding is.
        padded = F.pad(hidden_states, (0, 0, 0, -tokens % EDGE)) if bfloat16_on_cpu(hidden_states) else None
        known = attention_mask is None or attention_mask.dtype == torch.bool
        if (
            padded is None
            or not known
            or not fits(padded, config.num_attention_heads, config.intermediate_size)
        ):
            output: EncoderOutput = super().forward(hidden_states, attention_mask, **rest)
            return output
        segments = _segments(hidden_states, attention_mask, padded.shape[1])
        rates = (
            (config.attention_probs_dropout_prob, config.hidden_dropout_prob) if self.training else (0.0, 0.0)
        )
        settings = LayerSettings(config.num_attention_heads, config.layer_norm_eps, *rates)
        for layer in self.layer:
            padded = run_layer(padded, segments, settings, _parameters(layer))
        return EncoderOutput(last_hidden_state=padded[:, :tokens])


def use_fast_kernels(model: PreTrainedModel, *, bf16: bool) -> None:
    """Let the model train with our attention and dropout, and in ``bf16`` with the kernels of a CPU that has
    them; weights, configuration and checkpoints stay.
    """
    for module in list(model.modules()):
        for name, child in list(module.named_children()):
            if type(child) is nn.Dropout:
                setattr(module, name, FastDropout(child.p))
    model.set_attn_implementation(_NAME)
    encoder = model.electra.encoder
    config = encoder.config
    standard = type(encoder) is ElectraEncoder and config.hidden_act == "gelu" and not config.is_decoder
    size = (config.hidden_size, config.num_attention_heads, config.intermediate_size)
    if standard and bf16 and default_device().type == "cpu" and sizes_fit(EDGE, *size) and usable():
        encoder.__class__ = FastEncoder  # its layers, and the names of their weights, stay as they are


def _segments(hidden: Tensor, mask: Tensor | None, tokens: int) -> Tensor | None:
    """int32 ``[batch, tokens]``: 1 where there is text, 0 where there is padding."""
    batch, given = hidden.shape[:2]
    if mask is None and given == tokens:
        return None
    segments = torch.zeros(batch, tokens, dtype=torch.int32)
    # Every query sees the same keys, so one row of the mask says it all.
    segments[:, :given] = 1 if mask is None else mask[:, 0, 0].to(torch.int32)
    return segments


def _parameters(layer: ElectraLayer) -> LayerParameters:
    attention, mixing = layer.attention.self, layer.attention.output
    projections = (attention.query, attention.key, attention.value)
    return LayerParameters(
        (
            torch.cat([projection.weight for projection in projections]),
            torch.cat([projection.bias for projection in projections]),
        ),
        (mixing.dense.weight, mixing.dense.bias),
        (mixing.LayerNorm.weight, mixing.LayerNorm.bias),
        (layer.intermediate.dense.weight, layer.intermediate.dense.bias),
        (layer.output.dense.weight, layer.output.dense.bias),
        (layer.output.LayerNorm.weight, layer.output.LayerNorm.bias),
    )


def _attention(
    module: nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    dropout: float = 0.0,
    **_: Any,
) -> tuple[torch.Tensor, None]:
    """The signature of transformers' attention functions; gives ``[batch, tokens, heads, head]``."""
    context = attend(query, key, value, attention_mask, dropout, module.training)
    return context.transpose(1, 2).contiguous(), None


AttentionInterface.register(_NAME, _attention)
AttentionMaskInterface.register(_NAME, sdpa_mask)
