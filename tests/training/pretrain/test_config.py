"""A preset is the paper's Table 6 as a whole, as far as the user says nothing else."""

import json
from dataclasses import asdict, replace
from pathlib import Path

import pytest
import torch

from tests.training.pretrain.run_here import tiny_config
from training.config import from_mapping
from training.errors import UserError
from training.pretrain.config import PhaseConfig, PretrainConfig
from training.pretrain.place import Place
from training.pretrain.resume import changed_settings
from training.pretrain.setup import set_up

# Table 6 of Clark et al. 2020, its ELECTRA columns (large: ELECTRA-400K), row by row.
TABLE = {
    "num_hidden_layers": (12, 12, 24),
    "hidden_size": (256, 768, 1024),
    "intermediate_size": (1024, 3072, 4096),
    "num_attention_heads": (4, 12, 16),
    "embedding_size": (128, 768, 1024),
    "generator_fraction": (1 / 4, 1 / 3, 1 / 4),
    "mask_rate": (0.15, 0.15, 0.25),
    "hidden_dropout": (0.1, 0.1, 0.1),
    "attention_dropout": (0.1, 0.1, 0.1),
    "learning_rate": (5e-4, 2e-4, 2e-4),
    "end_fraction": (0.0, 0.0, 0.0),
    "warmup_steps": (10_000, 10_000, 10_000),
    "adam_epsilon": (1e-6, 1e-6, 1e-6),
    "adam_betas": ((0.9, 0.999),) * 3,
    "weight_decay": (0.01, 0.01, 0.01),
    "length": (128, 512, 512),
    "rows": (128, 256, 2048),
    "steps": (1_000_000, 766_000, 400_000),
}
# What the table leaves to the reference's code.
CODE = {
    "clip_norm": 1.0,
    "bias_correction": False,
    "temperature": 1.0,
    "disallow_correct": False,
    "noise_share": 0.0,
    "discriminator_weight": 50.0,
    "generator_weight": 1.0,
    "initializer_range": 0.02,
    "layer_norm_eps": 1e-12,
    "embedding_sharing": "shared",
    "generator_layers": None,
    "max_position_embeddings": 512,
}


@pytest.mark.parametrize("column", range(3))
def test_a_preset_is_its_column_of_the_table(column: int) -> None:
    config = PretrainConfig(preset=("small", "base", "large")[column])  # type: ignore[arg-type]
    (phase,) = config.phases
    assert phase.mask_rate is None  # so the model's counts
    values = asdict(phase) | asdict(config) | config.electra_config(30522).to_dict()
    expected = {name: row[column] for name, row in TABLE.items()} | CODE
    assert {name: values[name] for name in expected} == expected


def test_small_is_the_default_and_tiny_is_trained_like_it() -> None:
    assert PretrainConfig() == PretrainConfig(preset="small")
    assert replace(PretrainConfig(preset="tiny"), preset="small") == PretrainConfig()


def test_what_the_user_says_is_kept() -> None:
    said = {"preset": "base", "learning_rate": "1e-3", "phases": [{"steps": 20_000, "rows": 4}]}
    config = from_mapping(PretrainConfig, said, "here")
    assert (config.learning_rate, config.phases) == (1e-3, (PhaseConfig(20_000, length=128, rows=4),))
    half = from_mapping(PretrainConfig, {"preset": "base", "phases": said["phases"]}, "here")
    assert (half.learning_rate, half.phases) == (2e-4, config.phases)
    # A change of another field takes along what was filled in, as it does with what was said.
    assert replace(half, seed=2).learning_rate == 2e-4
    for key, value in (("learning_rate", 0), ("learning_rate", 5), ("phases", [])):
        with pytest.raises(UserError, match=key):
            from_mapping(PretrainConfig, {key: value}, "here")


def test_a_model_without_room_for_the_presets_rows_is_refused() -> None:
    with pytest.raises(ValueError, match="a phase has rows of 512 tokens, the model 128 positions"):
        PretrainConfig(preset="base", model={"max_position_embeddings": 128})


def test_the_record_holds_what_was_filled_in_and_that_of_an_older_run_is_the_same() -> None:
    config = PretrainConfig(preset="base")
    record = json.loads(json.dumps(asdict(config)))
    assert record["learning_rate"] == 2e-4
    assert record["phases"] == [{"steps": 766_000, "length": 512, "rows": 256, "mask_rate": None}]
    assert from_mapping(PretrainConfig, record, "there") == config
    assert changed_settings(config, record, 766_000, "there") == []
    # As runs of `small` and `tiny` recorded it when every preset had one rate and one phase.
    older = {
        "learning_rate": 5e-4,
        "phases": [{"steps": 1_000_000, "length": 128, "rows": 128, "mask_rate": None}],
    }
    for preset in ("small", "tiny"):
        assert changed_settings(PretrainConfig(preset=preset), older, 1_000_000, "there") == []  # type: ignore[arg-type]


def test_the_optimiser_has_what_is_configured(root: Path) -> None:
    config = tiny_config(learning_rate=3e-3, adam_betas=(0.8, 0.95), adam_epsilon=1e-5, weight_decay=0.2)
    place = Place(0, 1, torch.device("cpu"))
    run = set_up(config, root / "shards", root / "tokenizer", root / "run", place)
    decayed, plain = run.optimizer.param_groups
    for group, decay in ((decayed, 0.2), (plain, 0.0)):
        found = [group[name] for name in ("lr", "betas", "eps", "weight_decay", "bias_correction")]
        assert found == [3e-3, (0.8, 0.95), 1e-5, decay, False]
