"""Model sizes: the paper's Table 6, a size for CPUs, and what follows from them."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

EmbeddingSharing = Literal["shared", "gdes", "none"]
PositionInitialization = Literal["normal", "sinusoidal"]
AttentionInitialization = Literal["normal", "local"]


@dataclass(frozen=True)
class ElectraConfig:
    """One joint model: a discriminator, and a generator that is a fraction of it.

    ``generator_fraction`` multiplies hidden size, feed-forward size and heads (Clark et al. 2020, section
    3.2; embedding size stays, and depth unless ``generator_layers`` says otherwise). ``embedding_sharing``:
    ``shared`` ties every embedding table by identity (the paper), ``gdes`` lets the discriminator add its own
    difference to the generator's tables without sending gradients into them (DeBERTaV3, section 3.2),
    ``none`` keeps them apart. ``position_initialization``: the position table is learnt either way; started
    as sinusoids (Vaswani et al. 2017, section 3.5), "the token before" is one linear map away, and short
    runs leave the plateau of context-free guessing sooner. ``attention_initialization``: ``local`` starts the
    heads of the first half of the layers on one neighbour each; it needs sinusoidal positions.
    """

    vocab_size: int = 30522
    embedding_size: int = 128
    hidden_size: int = 256
    num_hidden_layers: int = 12
    num_attention_heads: int = 4
    intermediate_size: int = 1024
    generator_fraction: float = 0.25
    generator_layers: int | None = None
    max_position_embeddings: int = 512
    type_vocab_size: int = 2
    hidden_dropout: float = 0.1
    attention_dropout: float = 0.1
    initializer_range: float = 0.02
    position_initialization: PositionInitialization = "normal"
    attention_initialization: AttentionInitialization = "normal"
    layer_norm_eps: float = 1e-12
    embedding_sharing: EmbeddingSharing = "shared"
    discriminator_weight: float = 50.0
    generator_weight: float = 1.0
    mask_rate: float = 0.15

    def __post_init__(self) -> None:
        if self.hidden_size % self.num_attention_heads:
            raise ValueError(
                f"hidden_size {self.hidden_size} is not a multiple of num_attention_heads "
                f"{self.num_attention_heads}"
            )
        if self.attention_initialization == "local" and self.position_initialization != "sinusoidal":
            raise ValueError("attention_initialization: local needs position_initialization: sinusoidal")
        if not 0 < self.mask_rate < 1:
            raise ValueError(f"mask_rate {self.mask_rate} must lie between 0 and 1")
        if not 0 < self.generator_fraction <= 1:
            raise ValueError(f"generator_fraction {self.generator_fraction} must lie in (0, 1]")
        if self.generator_hidden_size % self.generator_attention_heads:
            raise ValueError(
                f"generator_fraction {self.generator_fraction} splits the attention heads; choose another"
            )

    @property
    def generator_hidden_size(self) -> int:
        return round(self.hidden_size * self.generator_fraction)

    @property
    def generator_intermediate_size(self) -> int:
        return round(self.intermediate_size * self.generator_fraction)

    @property
    def generator_attention_heads(self) -> int:
        return max(1, round(self.num_attention_heads * self.generator_fraction))

    @property
    def generator_num_layers(self) -> int:
        return self.generator_layers or self.num_hidden_layers

    def masked_positions(self, length: int) -> int:
        """``N``: the most positions that a row of ``length`` tokens may have masked (Google's
        ``max_predictions``).
        """
        return int((self.mask_rate + 0.005) * length)

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


_SMALL = ElectraConfig()
PRESETS: dict[str, ElectraConfig] = {
    # For two CPU cores and an afternoon: a third of small's depth, same width.
    "tiny": replace(_SMALL, num_hidden_layers=4, generator_layers=4),
    "small": _SMALL,
    "base": ElectraConfig(
        embedding_size=768,
        hidden_size=768,
        num_attention_heads=12,
        intermediate_size=3072,
        generator_fraction=1 / 3,
    ),
    "large": ElectraConfig(
        embedding_size=1024,
        hidden_size=1024,
        num_hidden_layers=24,
        num_attention_heads=16,
        intermediate_size=4096,
        mask_rate=0.25,
    ),
}
