"""Heads that start on a neighbour do look there; sinusoids turn as they should; nothing else moves."""

from dataclasses import replace

import pytest
import torch
from sklearn.metrics import roc_auc_score

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
def test_heads_of_the_first_layers_look_at_their_neighbours(deviation: float) -> None:
    torch.manual_seed(0)
    model = Electra(replace(CONFIG, initializer_range=deviation))
    # Two heads carry a whole word vector in the discriminator, so two look at each neighbour.
    for network, places in (
        (model.discriminator, [[-1, -1, 1, 1], [-2, -2, 2, 2]]),
        (model.generator, [[-1, 1], [-2, 2]]),
    ):
        for offset in (-2, -1, 0, 1, 2):
            weights = attention_to(network, offset)
            for layer, heads in enumerate(places):
                for head, place in enumerate(heads):
                    found = float(weights[layer, head])
                    assert found > 0.5 if place == offset else found < 0.1
            assert weights[2:].max() < 0.1  # the later layers are free


def test_the_discriminator_starts_with_an_eye_for_words_that_do_not_fit() -> None:
    torch.manual_seed(0)
    model = Electra(CONFIG).eval()
    table = model.generator.embeddings.word_embeddings.weight
    # Words 0..249 resemble each other, and words 250..499: a text is of one kind, its odd word of the other.
    kinds = torch.randn(2, 128).repeat_interleave(250, 0)
    with torch.no_grad():
        table.copy_((kinds + torch.randn(500, 128)) * 0.02)
        kind = torch.randint(0, 2, (60, 1))
        ids = torch.randint(0, 250, (60, 40)) + 250 * kind
        odd = torch.rand(ids.shape) < 0.1
        ids = torch.where(odd, (ids + 250) % 500, ids)
        hidden = model.discriminator.project(
            model.discriminator.embeddings(ids, torch.arange(40).expand_as(ids), None)
        )
        first = model.discriminator.layers[0]
        fits = first(hidden, None) @ first.output.weight[:, 0]
    scores = -fits[:, 1:-1].flatten().numpy()
    assert roc_auc_score(odd[:, 1:-1].flatten().numpy(), scores) > 0.75


def test_a_discriminator_without_room_beside_its_words_only_looks() -> None:
    torch.manual_seed(0)
    model = Electra(replace(CONFIG, embedding_size=256))
    for head, offset in enumerate([-1, 1, -2, 2]):
        assert attention_to(model.discriminator, offset)[0, head] > 0.5


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
