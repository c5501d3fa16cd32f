"""A draft is run as the finished bundle will be."""

from __future__ import annotations

import asyncio
from pathlib import Path

import numpy as np
import pytest

from app.bundle_files import read_bundle
from app.scheduler.engine import RequestContext
from training.errors import UserError
from training.export.checkpoint import load_checkpoint
from training.export.config import ExportConfig
from training.export.draft import Draft, check_graphs


@pytest.fixture
def draft(models: Path, material: Path) -> Draft:
    config = ExportConfig(name="encoder", checkpoint="unused", threads=1)
    manifest = read_bundle(models / "encoder" / "1").manifest
    pieces = [np.arange(5, 5 + length) for length in (1, 7, 62)]
    return Draft(config, models / "encoder" / "1", manifest, ["text"], pieces)


def test_precisions_are_told_apart(draft: Draft) -> None:
    results = []
    for precision in ("fp32", "int8"):
        model = draft.model(precision)
        (output,) = asyncio.run(
            model.engine.infer([model.encoder.sequence(draft.pieces[1])], RequestContext())
        )
        results.append(output["logits"])
    assert np.abs(results[0] - results[1]).max() > 0


def test_both_graphs_are_compared_with_their_checkpoints(draft: Draft, material: Path) -> None:
    parities = check_graphs(
        draft, load_checkpoint(material / "discriminator"), load_checkpoint(material / "generator")
    )
    assert [parity.texts for parity in parities] == [3, 3]
    assert all(parity.logits < 1e-4 and parity.longest == 64 for parity in parities)


def test_a_graph_of_another_checkpoint_is_found_out(draft: Draft, material: Path) -> None:
    other = load_checkpoint(material / "discriminator")
    other.model.electra.encoder.layer[0].attention.self.query.weight.data += 0.3
    with pytest.raises(UserError, match="the model graph differs from the checkpoint"):
        check_graphs(draft, other, None)


def test_every_text_that_is_computed_is_told(draft: Draft, material: Path) -> None:
    told: list[int] = []
    draft.on_texts = told.append
    check_graphs(draft, load_checkpoint(material / "discriminator"), load_checkpoint(material / "generator"))
    assert told == [3, 3]
