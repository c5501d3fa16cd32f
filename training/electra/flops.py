"""Operations of training, counted as google-research/electra's ``flops_computation.py`` counts them."""

from __future__ import annotations

from dataclasses import dataclass

from training.electra.config import ElectraConfig

# Element-wise operations per activation, as the reference counts them.
_DROPOUT, _LAYER_NORM, _GELU, _SOFTMAX = 4, 5, 8, 5
_TRAINING_PASSES = 2  # the reference counts the backward pass as one more forward pass


@dataclass(frozen=True)
class Transformer:
    """What the count depends on; sizes as in the paper's Table 6."""

    hidden: int
    layers: int
    tokens: int = 512
    vocabulary: int = 30522
    embedding: int | None = None
    intermediate: int | None = None
    heads: int | None = None
    output_fraction: float = 0.15625

    @property
    def embedding_width(self) -> int:
        return self.embedding or self.hidden

    def layer(self) -> int:
        """Forward operations of one layer, per token."""
        h, s, i = self.hidden, self.tokens, self.intermediate or 4 * self.hidden
        heads = self.heads or max(h // 64, 1)
        attention = 6 * h * h + 3 * h + 2 * h * s + heads * s * (_SOFTMAX + _DROPOUT + 1) + 2 * h * s
        attention += 2 * h * h + h + _DROPOUT * h + h + _LAYER_NORM
        feed_forward = 4 * h * i + (_GELU + 1) * i + h + _DROPOUT * h + h + _LAYER_NORM * h
        return attention + feed_forward

    def input_embedding(self) -> int:
        """Forward operations per token; look-ups are counted as dense products."""
        e, h = self.embedding_width, self.hidden
        count = 2 * e * self.vocabulary + 2 * e * (self.tokens + 2) + 2 * e + (_LAYER_NORM + _DROPOUT) * e
        return count + (2 * h * e + h if e != h else 0)

    def output_softmax(self) -> float:
        """Forward operations per token; only a share of the positions is predicted."""
        e, h, v = self.embedding_width, self.hidden, self.vocabulary
        count = 2 * e * v + 2 * h * e + e + (_GELU + _LAYER_NORM) * e + _SOFTMAX * v + 2 * v
        return self.output_fraction * count

    def replaced_token_head(self) -> int:
        """Forward operations per token."""
        h = self.hidden
        return 2 * h * h + h + _GELU * h + 2 * h

    def training(self, examples: float, *, discriminator: bool) -> float:
        """Operations of training on ``examples`` rows of ``tokens`` tokens."""
        head = self.replaced_token_head() if discriminator else self.output_softmax()
        per_token = self.layers * self.layer() + self.input_embedding() + head
        return _TRAINING_PASSES * per_token * self.tokens * examples


def electra_training_flops(
    hidden: int,
    layers: int,
    generator_hidden: int,
    batch: int,
    steps: float,
    tokens: int,
    embedding: int | None = None,
) -> float:
    """The reference's count for a published ELECTRA model (vocabulary 30,522, tied embeddings)."""
    width = embedding or hidden
    discriminator = Transformer(hidden, layers, tokens, embedding=width)
    generator = Transformer(generator_hidden, layers, tokens, embedding=width)
    examples = batch * steps
    return discriminator.training(examples, discriminator=True) + generator.training(
        examples, discriminator=False
    )


def matmul_flops_per_token(config: ElectraConfig, tokens: int) -> float:
    """Multiply-adds (x2) that training one token really needs, forward and backward (3 x forward), look-ups
    free.

    The figure behind utilisation: only matrix products, the vocabulary head on masked positions alone.
    """

    def encoder(hidden: int, intermediate: int, layers: int) -> float:
        per_layer = 8 * hidden * hidden + 4 * hidden * intermediate + 4 * hidden * tokens
        project = 2 * config.embedding_size * hidden if config.embedding_size != hidden else 0
        return layers * per_layer + project

    discriminator = encoder(config.hidden_size, config.intermediate_size, config.num_hidden_layers)
    discriminator += 2 * config.hidden_size**2 + 2 * config.hidden_size
    generator = encoder(
        config.generator_hidden_size, config.generator_intermediate_size, config.generator_num_layers
    )
    head = (
        2 * config.generator_hidden_size * config.embedding_size
        + 2 * config.embedding_size * config.vocab_size
    )
    generator += config.masked_positions(tokens) / tokens * head
    return 3 * (discriminator + generator)
