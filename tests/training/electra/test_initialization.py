"""Heads that start on a neighbour do look there; sinusoids turn as they should; nothing else moves."""

from dataclasses import replace

import pytest
import torch

from training.electra.config import PRESETS, ElectraConfig
from training.electra.model import Electra, Encoder

CONFIG = replace(
    PRESETS["tiny"],
    vocab_size=500,
    generator_fraction=0.5,
    position_initialization="sinusoidal",
    attention_initialization="local",
)


def attention_to(encoder: Encoder, offset: int, tokens: int = 60) -> torch.Tensor:
    """``[layers, heads]``: mean attention of a token to the one ``offset`` places further."""
    encoder.eval()
    torch.manual_seed(1)
    ids = torch.randint(500, (3, tokens))
    hidden = encoder.project(encoder.embeddings(ids, torch.arange(tokens).expand_as(ids), None))
    found = []
    with torch.no_grad():
        for layer in encoder.layers:
            width = hidden.shape[-1] // layer.heads
            projected = layer.query_key_value(hidden).view(3, tokens, 3, layer.heads, width)
            query, key, _ = projected.permute(2, 0, 3, 1, 4).unbind(0)
            weights = (query @ key.transpose(-1, -2) / width**0.5).softmax(-1)
            found.append(weights.diagonal(offset, 2, 3).mean((0, 2)))
            hidden = layer(hidden, None)
    return torch.stack(found)


@pytest.mark.parametrize("deviation", [0.02, 0.05])
def test_each_head_of_the_first_layers_looks_at_its_neighbour(deviation: float) -> None:
    torch.manual_seed(0)
    model = Electra(replace(CONFIG, initializer_range=deviation))
    # Four heads and four layers: offsets -1, 1, -2, 2 in the first layer, -3, 3, -4, 4 in the second.
    for number, offset in enumerate([-1, 1, -2, 2, -3, 3, -4, 4]):
        weights = attention_to(model.discriminator, offset)
        layer, head = divmod(number, 4)
        assert weights[layer, head] > 0.3
        others = [float(weights[layer, other]) for other in range(4) if other != head]
        assert max(others) < 0.1
        assert weights[2:].max() < 0.1  # the later layers are free
    for head, offset in enumerate([-1, 1]):
        assert attention_to(model.generator, offset)[0, head] > 0.3


def test_a_model_in_training_stays_in_training() -> None:
    assert Electra(CONFIG).training


def test_local_attention_without_sinusoids_is_refused() -> None:
    with pytest.raises(ValueError, match="local needs position_initialization: sinusoidal"):
        ElectraConfig(attention_initialization="local")


def test_sinusoids_have_the_deviation_asked_for() -> None:
    torch.manual_seed(0)
    for attention in ("normal", "local"):
        config = replace(CONFIG, attention_initialization=attention, initializer_range=0.05)
        table = Electra(config).generator.embeddings.position_embeddings.weight
        assert float(table.detach().square().mean() ** 0.5) == pytest.approx(0.05, rel=0.05)
        # The product of two positions depends on their distance alone.
        products = table @ table.T
        assert torch.allclose(products.diagonal(3)[:400], products[0, 3], atol=1e-5)
