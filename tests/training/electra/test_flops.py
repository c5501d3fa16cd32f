"""The published counts, to their last printed digit."""

from dataclasses import replace

import pytest

from training.electra.config import PRESETS
from training.electra.flops import Transformer, electra_training_flops, matmul_flops_per_token


@pytest.mark.parametrize(
    ("count", "published"),
    [
        (electra_training_flops(256, 12, 64, 128, 1e6, 128, 128), 1.2937e18),
        (electra_training_flops(768, 12, 256, 256, 766_000, 512), 6.4245e19),
        (electra_training_flops(1024, 24, 256, 2048, 400_000, 512), 7.1176e20),
        (electra_training_flops(1024, 24, 256, 2048, 1_750_000, 512), 3.1140e21),
        (Transformer(256, 12, 128, embedding=128).training(128 * 1.45e6, discriminator=False), 1.4187e18),
        (Transformer(768, 12).training(256 * 1e6, discriminator=False), 6.4283e19),
        (
            Transformer(768, 12, vocabulary=40000, output_fraction=1.0).training(
                128 * 960_800, discriminator=False
            ),
            3.9688e19,
        ),
        (Transformer(1024, 24, vocabulary=50265).training(8000 * 500_000, discriminator=False), 3.1872e21),
    ],
)
def test_counts_of_the_reference_script(count: float, published: float) -> None:
    assert float(f"{count:.4e}") == pytest.approx(published, rel=1e-9)


def test_small_costs_about_seventy_megaflops_a_token() -> None:
    assert matmul_flops_per_token(replace(PRESETS["small"], vocab_size=32000), 128) == pytest.approx(
        70.36e6, rel=1e-3
    )


def test_the_vocabulary_head_counts_masked_positions_only() -> None:
    config = PRESETS["small"]
    more = replace(config, vocab_size=config.vocab_size + 1000)
    grown = matmul_flops_per_token(more, 128) - matmul_flops_per_token(config, 128)
    assert grown == pytest.approx(3 * 2 * config.embedding_size * 1000 * 19 / 128)
