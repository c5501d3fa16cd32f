"""Sizes of the paper, tables tied by identity, attention that stays inside its document."""

import copy
from dataclasses import replace

import pytest
import torch

from training.electra.config import PRESETS, ElectraConfig
from training.electra.model import DifferenceEmbeddings, Electra, parameter_count

TINY = replace(
    PRESETS["tiny"],
    vocab_size=120,
    hidden_size=32,
    intermediate_size=64,
    embedding_size=16,
    num_hidden_layers=2,
    generator_layers=2,
    num_attention_heads=4,
    max_position_embeddings=40,
    hidden_dropout=0.0,
    attention_dropout=0.0,
)


@pytest.mark.parametrize(
    ("preset", "discriminator", "joint"),
    [
        ("small", 13_549_057, 14_196_219),
        ("base", 109_483_009, 119_386_427),
        ("large", 335_142_913, 354_655_291),
    ],
)
def test_parameter_counts(preset: str, discriminator: int, joint: int) -> None:
    with torch.device("meta"):
        model = Electra(PRESETS[preset])
    assert parameter_count(model.discriminator) + parameter_count(model.discriminator_head) == discriminator
    assert parameter_count(model) == joint


def assert_tied(model: Electra) -> None:
    one, other = model.generator.embeddings, model.discriminator.embeddings
    assert one is other
    for table in ("word_embeddings", "position_embeddings", "token_type_embeddings", "LayerNorm"):
        assert getattr(one, table).weight is getattr(other, table).weight
    assert model.generator_head.word_embeddings.weight is one.word_embeddings.weight


def test_tables_are_tied_by_identity_and_stay_so() -> None:
    model = Electra(TINY)
    assert_tied(model)
    assert_tied(copy.deepcopy(model))
    model.to(torch.float64).to(torch.float32)
    assert_tied(model)
    restored = Electra(TINY)
    restored.load_state_dict(model.state_dict())
    assert_tied(restored)
    for layer in model.discriminator.layers:
        layer.compile(backend="aot_eager")
    assert_tied(model)


def test_tables_are_stored_once() -> None:
    names = [name for name, _ in Electra(TINY).named_parameters() if "word_embeddings" in name]
    assert names == ["generator.embeddings.word_embeddings.weight"]


def test_without_sharing_nothing_is_tied() -> None:
    model = Electra(replace(TINY, embedding_sharing="none"))
    assert model.generator.embeddings.word_embeddings is not model.discriminator.embeddings.word_embeddings


def test_difference_embeddings_start_equal_to_the_generators() -> None:
    model = Electra(replace(TINY, embedding_sharing="gdes"))
    assert isinstance(model.discriminator.embeddings, DifferenceEmbeddings)
    assert torch.equal(
        model.discriminator.embeddings.word_table(), model.generator.embeddings.word_embeddings.weight
    )


def test_a_packed_row_gives_what_its_documents_give_alone() -> None:
    torch.manual_seed(0)
    model = Electra(TINY).eval()
    one, two = torch.randint(5, 120, (1, 9)), torch.randint(5, 120, (1, 7))
    packed = torch.cat([one, two, torch.zeros(1, 4, dtype=torch.long)], 1)
    segments = torch.tensor([[1] * 9 + [2] * 7 + [0] * 4])
    positions = torch.tensor([[*range(9), *range(7), *range(4)]])
    with torch.no_grad():
        together = model.discriminator(packed, positions, segments)
        first = model.discriminator(one, torch.arange(9)[None], None)
        second = model.discriminator(two, torch.arange(7)[None], None)
    torch.testing.assert_close(together[:, :9], first, atol=1e-5, rtol=0)
    torch.testing.assert_close(together[:, 9:16], second, atol=1e-5, rtol=0)


def test_initialisation_is_truncated_at_two_deviations() -> None:
    weight = Electra(replace(TINY, vocab_size=4000)).generator.embeddings.word_embeddings.weight
    assert weight.abs().max() <= 2 * TINY.initializer_range + 1e-6
    assert 0.8 * TINY.initializer_range < weight.std() < TINY.initializer_range


def test_sizes_that_cannot_be_are_refused() -> None:
    with pytest.raises(ValueError, match="not a multiple of num_attention_heads 3"):
        ElectraConfig(hidden_size=256, num_attention_heads=3)
    with pytest.raises(ValueError, match="mask_rate"):
        ElectraConfig(mask_rate=1.5)
    with pytest.raises(ValueError, match="generator_fraction"):
        ElectraConfig(generator_fraction=2)


def test_the_last_logit_is_float32_under_autocast() -> None:
    model = Electra(TINY).eval()
    with torch.autocast("cpu", torch.bfloat16):
        logits = model.discriminator_head(torch.randn(2, 7, TINY.hidden_size))
    assert logits.dtype == torch.float32
    assert logits.unique().numel() == logits.numel()
