"""A pretraining that goes on has the sizes, and the tables, of what it goes on from."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch
from transformers import ElectraForPreTraining

from training.electra.config import ElectraConfig
from training.electra.model import Electra
from training.errors import UserError
from training.pretrain.warmstart import warm_start
from training.restore.checkpoint import restore
from training.restore.sizes import model_sizes
from training.tokenizer import load_tokenizer

SHIPPED = Path(__file__).parents[3] / "models"


def test_every_weight_finds_its_place(tmp_path: Path) -> None:
    restore(SHIPPED / "encoder", tmp_path / "start")
    sizes = model_sizes(tmp_path / "start")
    # Both have word tables of their own: int8 rounds them, and does not make them so different.
    assert sizes["embedding_sharing"] == "gdes"
    assert (sizes["generator_fraction"], sizes["generator_layers"]) == (0.5, 4)
    tokenizer = load_tokenizer(tmp_path / "start" / "discriminator")
    model = Electra(ElectraConfig(vocab_size=tokenizer.get_vocab_size(), **sizes)).eval()
    assert warm_start(model, tokenizer, tmp_path / "start") == []
    ids = torch.randint(5, 16384, (2, 12), generator=torch.Generator().manual_seed(0))
    theirs = ElectraForPreTraining.from_pretrained(tmp_path / "start" / "discriminator").eval()
    with torch.no_grad():
        ours = model.discriminator(ids, torch.arange(12).expand(2, 12), None)
        torch.testing.assert_close(ours, theirs.electra(ids).last_hidden_state, atol=1e-4, rtol=1e-4)


def test_one_table_stays_one(material: Path, tmp_path: Path) -> None:
    for name in ("discriminator", "generator"):
        shutil.copytree(material / "generator", tmp_path / name)
    assert model_sizes(tmp_path)["embedding_sharing"] == "shared"
    shutil.rmtree(tmp_path / "generator")
    assert "generator_fraction" not in model_sizes(tmp_path)
    with pytest.raises(UserError, match="no such checkpoint directory"):
        model_sizes(tmp_path / "nowhere")
