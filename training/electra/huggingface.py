"""To and from Hugging Face: ``ElectraForPreTraining``, ``ElectraForMaskedLM`` and any BERT encoder to start
from.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import cast

import torch
from torch import Tensor, nn
from transformers import ElectraConfig as HuggingFaceConfig
from transformers import ElectraForMaskedLM, ElectraForPreTraining, PreTrainedModel
from transformers.utils import logging as hub_logging

from training.electra.config import ElectraConfig
from training.electra.model import DifferenceEmbeddings, Electra, Encoder, Layer
from training.errors import UserError

_LAYER = {
    "attention.output.dense": "attention_output",
    "attention.output.LayerNorm": "attention_norm",
    "intermediate.dense": "intermediate",
    "output.dense": "output",
    "output.LayerNorm": "output_norm",
}


@contextmanager
def quiet_hub() -> Iterator[None]:
    """Loading and saving without the library's own progress bars and remarks."""
    level, bars = hub_logging.get_verbosity(), hub_logging.is_progress_bar_enabled()
    hub_logging.set_verbosity(hub_logging.CRITICAL)
    hub_logging.disable_progress_bar()
    try:
        yield
    finally:
        hub_logging.set_verbosity(level)
        if bars:
            hub_logging.enable_progress_bar()


def discriminator_config(config: ElectraConfig) -> HuggingFaceConfig:
    """The Hugging Face configuration of the discriminator."""
    return _huggingface_config(
        config,
        config.hidden_size,
        config.intermediate_size,
        config.num_attention_heads,
        config.num_hidden_layers,
    )


def generator_config(config: ElectraConfig) -> HuggingFaceConfig:
    """The Hugging Face configuration of the generator."""
    return _huggingface_config(
        config,
        config.generator_hidden_size,
        config.generator_intermediate_size,
        config.generator_attention_heads,
        config.generator_num_layers,
    )


def _huggingface_config(
    config: ElectraConfig, hidden: int, intermediate: int, heads: int, layers: int
) -> HuggingFaceConfig:
    return HuggingFaceConfig(
        vocab_size=config.vocab_size,
        embedding_size=config.embedding_size,
        hidden_size=hidden,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        intermediate_size=intermediate,
        max_position_embeddings=config.max_position_embeddings,
        type_vocab_size=config.type_vocab_size,
        hidden_dropout_prob=config.hidden_dropout,
        attention_probs_dropout_prob=config.attention_dropout,
        initializer_range=config.initializer_range,
        layer_norm_eps=config.layer_norm_eps,
        pad_token_id=0,
    )


def to_discriminator(model: Electra) -> PreTrainedModel:
    """An ``ElectraForPreTraining`` with the discriminator's weights, in float32 on the CPU."""
    state = _encoder_state(model.discriminator)
    head = model.discriminator_head
    state |= _linear("discriminator_predictions.dense", head.dense)
    state |= _linear("discriminator_predictions.dense_prediction", head.dense_prediction)
    return _filled(ElectraForPreTraining(discriminator_config(model.config)), state)


def to_generator(model: Electra) -> PreTrainedModel:
    """An ``ElectraForMaskedLM`` with the generator's weights; its output matrix is the word table."""
    state = _encoder_state(model.generator)
    head = model.generator_head
    state |= _linear("generator_predictions.dense", head.dense)
    state |= _linear("generator_predictions.LayerNorm", head.LayerNorm)
    state["generator_lm_head.weight"] = head.word_embeddings.weight
    state["generator_lm_head.bias"] = head.bias
    return _filled(ElectraForMaskedLM(generator_config(model.config)), state)


def _filled(target: PreTrainedModel, state: dict[str, Tensor]) -> PreTrainedModel:
    values = {name: tensor.detach().float().cpu().clone() for name, tensor in state.items()}
    missing, unexpected = target.load_state_dict(values, strict=False)
    leftover = [name for name in missing if not name.endswith(("position_ids", "token_type_ids"))]
    if leftover or unexpected:
        raise AssertionError(f"weights do not map: missing {leftover}, unexpected {unexpected}")
    return target.eval()


def _linear(name: str, module: nn.Linear | nn.LayerNorm) -> dict[str, Tensor]:
    return {f"{name}.weight": module.weight, f"{name}.bias": module.bias}


def _encoder_state(encoder: Encoder) -> dict[str, Tensor]:
    embeddings = encoder.embeddings
    words = (
        embeddings.word_table()
        if isinstance(embeddings, DifferenceEmbeddings)
        else embeddings.word_embeddings.weight
    )
    state: dict[str, Tensor] = {"electra.embeddings.word_embeddings.weight": words}
    for table in ("position_embeddings", "token_type_embeddings"):
        state[f"electra.embeddings.{table}.weight"] = getattr(embeddings, table).weight
    state |= _linear("electra.embeddings.LayerNorm", embeddings.LayerNorm)
    if encoder.embeddings_project is not None:
        state |= _linear("electra.embeddings_project", encoder.embeddings_project)
    for number, layer in enumerate(encoder.layers):
        prefix = f"electra.encoder.layer.{number}"
        joint = layer.query_key_value
        weights, biases = joint.weight.chunk(3), joint.bias.chunk(3)  # type: ignore[union-attr,operator]
        for name, weight, bias in zip(("query", "key", "value"), weights, biases, strict=True):
            state[f"{prefix}.attention.self.{name}.weight"] = weight
            state[f"{prefix}.attention.self.{name}.bias"] = bias
        for theirs, ours in _LAYER.items():
            state |= _linear(f"{prefix}.{theirs}", getattr(layer, ours))
    return state


def load_discriminator(model: Electra, source: dict[str, Tensor]) -> list[str]:
    """Fill the discriminator of ``model`` from a Hugging Face state dict (ELECTRA or BERT); see
    ``load_encoder``.
    """
    state = _without_prefix(source)
    report = load_encoder(model.discriminator, state)
    head = model.discriminator_head
    for name, module in (("dense", head.dense), ("dense_prediction", head.dense_prediction)):
        report += _copy_linear(module, state, f"discriminator_predictions.{name}")
    return report


def load_generator(model: Electra, source: dict[str, Tensor]) -> list[str]:
    """Fill the generator of ``model`` from the state dict of an ``ElectraForMaskedLM``."""
    state = _without_prefix(source)
    report = load_encoder(model.generator, state)
    report += _copy_linear(model.generator_head.dense, state, "generator_predictions.dense")
    report += _copy_linear(model.generator_head.LayerNorm, state, "generator_predictions.LayerNorm")
    bias = state.get("generator_lm_head.bias")
    if bias is not None and bias.shape == model.generator_head.bias.shape:
        with torch.no_grad():
            model.generator_head.bias.copy_(bias)
    return report


def load_encoder(encoder: Encoder, state: dict[str, Tensor]) -> list[str]:
    """Copy every tensor that fits; returns the names of those that were left as they were.

    Tables with other numbers of entries (a new vocabulary, fewer positions) are left out or cut; the caller
    may fill word embeddings by token instead (``pretrain/warmstart.py``).
    """
    skipped: list[str] = []
    embeddings = encoder.embeddings
    for table in ("word_embeddings", "position_embeddings", "token_type_embeddings"):
        skipped += _copy_table(
            getattr(embeddings, table, None), state.get(f"embeddings.{table}.weight"), table
        )
    skipped += _copy_linear(embeddings.LayerNorm, state, "embeddings.LayerNorm")
    if encoder.embeddings_project is not None:
        skipped += _copy_linear(encoder.embeddings_project, state, "embeddings_project")
    for number, layer in enumerate(encoder.layers):
        prefix = f"encoder.layer.{number}"
        skipped += _copy_joint(cast(Layer, layer).query_key_value, state, f"{prefix}.attention.self")
        for theirs, ours in _LAYER.items():
            skipped += _copy_linear(getattr(layer, ours), state, f"{prefix}.{theirs}")
    return skipped


def _copy_joint(joint: nn.Linear, state: dict[str, Tensor], name: str) -> list[str]:
    """Query, key and value, which are three matrices there, into the one that they are here."""
    three = [f"{name}.{each}" for each in ("query", "key", "value")]
    if any(f"{each}.{kind}" not in state for each in three for kind in ("weight", "bias")):
        return [name]
    weight = torch.cat([state[f"{each}.weight"] for each in three])
    if weight.shape != joint.weight.shape:
        return [name]
    with torch.no_grad():
        joint.weight.copy_(weight)
        joint.bias.copy_(torch.cat([state[f"{each}.bias"] for each in three]))
    return []


def _without_prefix(state: dict[str, Tensor]) -> dict[str, Tensor]:
    trimmed = {name.removeprefix("electra.").removeprefix("bert."): tensor for name, tensor in state.items()}
    if not any(name.startswith("encoder.layer.0.") for name in trimmed):
        raise UserError("warm start: the checkpoint has no encoder.layer.0; give a BERT or ELECTRA directory")
    # Old checkpoints call LayerNorm's parameters gamma and beta.
    return {
        n.replace("LayerNorm.gamma", "LayerNorm.weight").replace("LayerNorm.beta", "LayerNorm.bias"): t
        for n, t in trimmed.items()
    }


def _copy_linear(module: nn.Linear | nn.LayerNorm, state: dict[str, Tensor], name: str) -> list[str]:
    weight, bias = state.get(f"{name}.weight"), state.get(f"{name}.bias")
    if weight is None or bias is None or weight.shape != module.weight.shape:
        return [name]
    with torch.no_grad():
        module.weight.copy_(weight)
        module.bias.copy_(bias)
    return []


def _copy_table(module: nn.Embedding | None, table: Tensor | None, name: str) -> list[str]:
    if module is None or table is None or table.shape[1] != module.weight.shape[1]:
        return [f"embeddings.{name}"]
    own = module.weight
    if name == "word_embeddings" and table.shape != own.shape:
        return [f"embeddings.{name}"]
    entries = min(len(table), len(own))
    with torch.no_grad():
        own[:entries].copy_(table[:entries])
    return []
