"""Generator and discriminator: the two encoders of ELECTRA, their heads, and the embeddings that they share.

Tensor names follow the Hugging Face implementation except that query, key and value are one matrix;
``huggingface.py`` converts both ways. Packed rows carry ``segments`` ``[batch, tokens]``: 0 for padding, 1,
2, ... for the documents of the row. Attention stays inside a segment and positions restart in each.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from training.electra.attention import attend, document_mask
from training.electra.config import ElectraConfig
from training.electra.dropout import dropout
from training.electra.gelu import gelu
from training.electra.initialization import glorot_, local_start_, sinusoidal_, truncated_normal_
from training.electra.native.layer import LayerParameters, LayerSettings, fits, run_layer, sizes_fit


@dataclass(frozen=True)
class EncoderSize:
    """What distinguishes the generator's encoder from the discriminator's."""

    hidden: int
    intermediate: int
    heads: int
    layers: int


class Embeddings(nn.Module):
    """Word, position and type tables with their LayerNorm, each ``[entries, embedding]``."""

    def __init__(self, config: ElectraConfig) -> None:
        super().__init__()
        self.word_embeddings = nn.Embedding(config.vocab_size, config.embedding_size)
        self.position_embeddings = nn.Embedding(config.max_position_embeddings, config.embedding_size)
        self.token_type_embeddings = nn.Embedding(config.type_vocab_size, config.embedding_size)
        self.LayerNorm = nn.LayerNorm(config.embedding_size, eps=config.layer_norm_eps)
        self.dropout = config.hidden_dropout

    def forward(self, ids: Tensor, positions: Tensor) -> Tensor:
        """``[batch, tokens]`` ids and positions -> ``[batch, tokens, embedding]``."""
        summed = self.word_embeddings(ids) + self.position_embeddings(positions)
        summed = summed + self.token_type_embeddings.weight[0]
        return dropout(self.LayerNorm(summed), self.dropout, self.training)


class DifferenceEmbeddings(nn.Module):
    """Gradient-disentangled sharing: the generator's table, detached, plus a difference of one's own."""

    def __init__(self, config: ElectraConfig, base: Embeddings) -> None:
        super().__init__()
        self.base = (base,)  # a tuple hides it from parameters(): it belongs to the generator
        self.difference = nn.Embedding(config.vocab_size, config.embedding_size)
        self.position_embeddings = nn.Embedding(config.max_position_embeddings, config.embedding_size)
        self.token_type_embeddings = nn.Embedding(config.type_vocab_size, config.embedding_size)
        self.LayerNorm = nn.LayerNorm(config.embedding_size, eps=config.layer_norm_eps)
        self.dropout = config.hidden_dropout

    def word_table(self) -> Tensor:
        """``[vocabulary, embedding]``, the effective word table."""
        return self.base[0].word_embeddings.weight.detach() + self.difference.weight

    def forward(self, ids: Tensor, positions: Tensor) -> Tensor:
        """``[batch, tokens]`` ids and positions -> ``[batch, tokens, embedding]``."""
        words = F.embedding(ids, self.base[0].word_embeddings.weight.detach()) + self.difference(ids)
        summed = words + self.position_embeddings(positions)
        summed = summed + self.token_type_embeddings.weight[0]
        return dropout(self.LayerNorm(summed), self.dropout, self.training)


class Layer(nn.Module):
    """One post-norm transformer layer."""

    def __init__(self, size: EncoderSize, config: ElectraConfig) -> None:
        super().__init__()
        self.heads = size.heads
        self.attention_dropout = config.attention_dropout
        self.hidden_dropout = config.hidden_dropout
        self.query_key_value = nn.Linear(size.hidden, 3 * size.hidden)
        self.attention_output = nn.Linear(size.hidden, size.hidden)
        self.attention_norm = nn.LayerNorm(size.hidden, eps=config.layer_norm_eps)
        self.intermediate = nn.Linear(size.hidden, size.intermediate)
        self.output = nn.Linear(size.intermediate, size.hidden)
        self.output_norm = nn.LayerNorm(size.hidden, eps=config.layer_norm_eps)

    def forward(self, hidden: Tensor, mask: Tensor | None) -> Tensor:
        """``hidden [batch, tokens, hidden]``; ``mask`` as :func:`attend` takes it."""
        batch, tokens, width = hidden.shape
        projected = self.query_key_value(hidden).view(batch, tokens, 3, self.heads, width // self.heads)
        query, key, value = projected.permute(2, 0, 3, 1, 4).unbind(0)
        context = attend(query, key, value, mask, self.attention_dropout, self.training)
        context = self.attention_output(context.transpose(1, 2).reshape(batch, tokens, width))
        hidden = self.attention_norm(hidden + dropout(context, self.hidden_dropout, self.training))
        inner = self.output(gelu(self.intermediate(hidden)))
        return self.output_norm(hidden + dropout(inner, self.hidden_dropout, self.training))

    def fits_kernels(self, hidden: Tensor) -> bool:
        """Whether ``by_kernels`` takes ``hidden``."""
        return fits(hidden, self.heads, self.intermediate.out_features)

    def sizes_fit_kernels(self, tokens: int) -> bool:
        """Whether ``by_kernels`` takes rows of ``tokens`` where the numbers are bfloat16."""
        return sizes_fit(tokens, self.output.out_features, self.heads, self.intermediate.out_features)

    def by_kernels(self, hidden: Tensor, segments: Tensor | None) -> Tensor:
        """``forward`` by ``training.electra.native``; ``segments`` int32 ``[batch, tokens]``."""
        rates = (self.attention_dropout, self.hidden_dropout) if self.training else (0.0, 0.0)
        modules = (
            self.query_key_value,
            self.attention_output,
            self.attention_norm,
            self.intermediate,
            self.output,
            self.output_norm,
        )
        parameters = LayerParameters(*((module.weight, module.bias) for module in modules))
        return run_layer(
            hidden, segments, LayerSettings(self.heads, self.attention_norm.eps, *rates), parameters
        )


class Encoder(nn.Module):
    """Embeddings, their projection where sizes differ, and the layers.

    ``native``: layers run by the kernels of ``training.electra.native`` wherever these fit.
    """

    native = False

    def __init__(
        self, size: EncoderSize, config: ElectraConfig, embeddings: Embeddings | DifferenceEmbeddings
    ) -> None:
        super().__init__()
        self.embeddings = embeddings
        self.embeddings_project = (
            nn.Linear(config.embedding_size, size.hidden) if config.embedding_size != size.hidden else None
        )
        self.layers = nn.ModuleList(Layer(size, config) for _ in range(size.layers))

    def forward(self, ids: Tensor, positions: Tensor, segments: Tensor | None) -> Tensor:
        """``[batch, tokens]`` -> ``[batch, tokens, hidden]``; ``segments`` None: one document a row."""
        hidden = self.project(self.embeddings(ids, positions))
        layers = cast("list[Layer]", list(self.layers))
        if self.native and all(layer.fits_kernels(hidden) for layer in layers):
            documents = None if segments is None else segments.to(torch.int32)
            for layer in layers:
                hidden = layer.by_kernels(hidden, documents)
            return hidden
        mask = None if segments is None else document_mask(segments)
        for layer in layers:
            hidden = layer(hidden, mask)
        return hidden

    def project(self, embedded: Tensor) -> Tensor:
        """``[batch, tokens, embedding]`` -> ``[batch, tokens, hidden]``."""
        return embedded if self.embeddings_project is None else self.embeddings_project(embedded)


class GeneratorHead(nn.Module):
    """Dense, GELU, LayerNorm, then the word table as output matrix: only for the positions asked for.

    ``native``: the loss by the kernels of ``training.electra.native`` wherever these fit.
    """

    native = False

    def __init__(self, hidden: int, config: ElectraConfig, table: nn.Embedding) -> None:
        super().__init__()
        self.dense = nn.Linear(hidden, config.embedding_size)
        self.LayerNorm = nn.LayerNorm(config.embedding_size, eps=config.layer_norm_eps)
        self.word_embeddings = table
        self.bias = nn.Parameter(torch.zeros(config.vocab_size))

    def forward(self, hidden: Tensor) -> Tensor:
        """``[positions, hidden]`` -> ``[positions, vocabulary]`` logits."""
        return F.linear(self.transform(hidden), self.word_embeddings.weight, self.bias)

    def transform(self, hidden: Tensor) -> Tensor:
        """``[positions, hidden]`` -> ``[positions, embedding]``: what is compared with the word table."""
        transformed: Tensor = self.LayerNorm(gelu(self.dense(hidden)))
        return transformed


class DiscriminatorHead(nn.Module):
    """Dense, GELU, one logit per token (Clark et al. 2020, section 2; google-research/electra,
    ``_get_discriminator_output``).
    """

    def __init__(self, hidden: int) -> None:
        super().__init__()
        self.dense = nn.Linear(hidden, hidden)
        self.dense_prediction = nn.Linear(hidden, 1)

    def forward(self, hidden: Tensor) -> Tensor:
        """``[batch, tokens, hidden]`` -> ``[batch, tokens]`` logits of "was replaced"."""
        inner = gelu(self.dense(hidden))
        # In bfloat16 most tokens of an early run would get one and the same logit.
        with torch.autocast(hidden.device.type, enabled=False):
            return self.dense_prediction(inner.to(self.dense_prediction.weight.dtype)).squeeze(-1)


class Electra(nn.Module):
    """The joint model. Tables are tied by identity: one module object, in both encoders and under the
    generator's output.
    """

    def __init__(self, config: ElectraConfig) -> None:
        super().__init__()
        self.config = config
        generator_size = EncoderSize(
            config.generator_hidden_size,
            config.generator_intermediate_size,
            config.generator_attention_heads,
            config.generator_num_layers,
        )
        discriminator_size = EncoderSize(
            config.hidden_size, config.intermediate_size, config.num_attention_heads, config.num_hidden_layers
        )
        own = Embeddings(config)
        self.generator = Encoder(generator_size, config, own)
        self.generator_head = GeneratorHead(generator_size.hidden, config, own.word_embeddings)
        match config.embedding_sharing:
            case "shared":
                other: Embeddings | DifferenceEmbeddings = own
            case "gdes":
                other = DifferenceEmbeddings(config, own)
            case "none":
                other = Embeddings(config)
        self.discriminator = Encoder(discriminator_size, config, other)
        self.discriminator_head = DiscriminatorHead(discriminator_size.hidden)
        for module in self.modules():
            truncated_normal_(module, config.initializer_range)
        if isinstance(other, DifferenceEmbeddings):
            nn.init.zeros_(other.difference.weight)
        local = config.attention_initialization == "local"
        if config.position_initialization == "sinusoidal":
            for embeddings in (own, other):
                sinusoidal_(embeddings.position_embeddings.weight, config.initializer_range, local)
        if local:
            local_start_(self)  # with projections of its own, and measured with small numbers elsewhere
            return
        projections = [self.generator.embeddings_project, self.discriminator.embeddings_project]
        for layer in (*projections, self.discriminator_head.dense_prediction):
            if layer is not None:
                glorot_(layer)


def parameter_count(module: nn.Module) -> int:
    """Parameters of ``module``, each tied one counted once."""
    return sum(parameter.numel() for parameter in module.parameters())
