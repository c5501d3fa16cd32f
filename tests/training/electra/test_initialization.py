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
    hidden = encoder.project(encoder.embeddings(ids, torch.arange(tokens).expand_as(ids)))
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
            model.discriminator.embeddings(ids, torch.arange(40).expand_as(ids))
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


def matrices(model: Electra) -> dict[str, torch.nn.Linear | torch.nn.Embedding]:
    """Every matrix of both networks by name, tied ones once."""
    kinds = torch.nn.Linear | torch.nn.Embedding
    return {name: module for name, module in model.named_modules() if isinstance(module, kinds)}


# Dense layers without an initializer of their own in google-research/electra, with inputs and outputs.
GLOROT = {
    "generator.embeddings_project": (128, 64),
    "discriminator.embeddings_project": (128, 256),
    "discriminator_head.dense_prediction": (256, 1),
}


@pytest.mark.parametrize("deviation", [0.02, 0.05])
def test_what_the_reference_leaves_to_tensorflow_is_uniform_and_the_rest_truncated_normal(
    deviation: float,
) -> None:
    torch.manual_seed(0)
    model = Electra(replace(PRESETS["small"], vocab_size=500, initializer_range=deviation))
    found = matrices(model)
    assert found.keys() > GLOROT.keys()
    for name, module in found.items():
        weight = module.weight.detach()
        if name in GLOROT:
            limit = (6 / sum(GLOROT[name])) ** 0.5
            spread, kurtosis = limit / 3**0.5, 1.8
        else:
            limit = 2 * deviation
            spread, kurtosis = 0.8796 * deviation, 2.366  # of a normal distribution cut at two deviations
        # Five standard errors of a deviation estimated from so many numbers.
        error = 5 * ((kurtosis - 1) / (4 * weight.numel())) ** 0.5
        assert float(weight.abs().max()) <= limit * (1 + 1e-6), name
        assert float(weight.square().mean() ** 0.5) == pytest.approx(spread, rel=error), name
        if isinstance(module, torch.nn.Linear):
            assert not module.bias.any(), name


def test_networks_as_wide_as_their_words_need_no_projection() -> None:
    model = Electra(replace(PRESETS["tiny"], vocab_size=50, embedding_size=256, generator_fraction=1.0))
    assert [name for name in matrices(model) if name in GLOROT] == ["discriminator_head.dense_prediction"]
    assert float(model.discriminator_head.dense_prediction.weight.detach().abs().max()) > 2 * 0.02


def test_heads_on_neighbours_come_with_projections_of_their_own_and_a_quiet_output() -> None:
    torch.manual_seed(0)
    model = Electra(replace(CONFIG, generator_fraction=0.75))
    for encoder in (model.generator, model.discriminator):
        project = encoder.embeddings_project.weight.detach()
        assert torch.allclose(project.T @ project, torch.eye(128), atol=1e-5)
    assert float(model.discriminator_head.dense_prediction.weight.detach().abs().max()) <= 2 * 0.02


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
