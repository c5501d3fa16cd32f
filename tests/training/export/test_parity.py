"""Parity finds the smallest difference that matters, and decisions that turn."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from app.tasks.local import local_model
from training.errors import UserError
from training.export.checkpoint import load_checkpoint
from training.export.parity import _decisions_differ, check_parity


@pytest.mark.parametrize("kind", ["classifier", "discriminator"])
def test_a_small_change_of_one_bias_is_found(kind: str, models: Path, material: Path) -> None:
    model = local_model(
        models / ("classifier" if kind == "classifier" else "encoder") / "1", precision="fp32", threads=1
    )
    sequences = [model.encoder.sequence(np.arange(5, 5 + length)) for length in (1, 10, 40)]
    checkpoint = load_checkpoint(material / kind)
    assert check_parity(model, checkpoint, sequences, 1e-4).decisions == 0
    bias = dict(checkpoint.model.named_parameters())
    name = next(name for name in reversed(bias) if name.endswith("bias"))
    bias[name].data += 5e-4
    with pytest.raises(UserError, match="differs from the checkpoint"):
        check_parity(model, checkpoint, sequences, 1e-4)


def test_vectors_of_other_layers_are_found_though_the_logits_agree(models: Path, material: Path) -> None:
    model = local_model(models / "encoder" / "1", precision="fp32", threads=1)
    manifest = model.bundle.manifest
    assert manifest.pooling is not None
    pooling = manifest.pooling.model_copy(update={"layers": [0]})
    assert pooling.layers != manifest.pooling.layers
    told = replace(model.bundle, manifest=manifest.model_copy(update={"pooling": pooling}))
    sequences = [model.encoder.sequence(np.arange(5, 15))]
    checkpoint = load_checkpoint(material / "discriminator")
    assert check_parity(model, checkpoint, sequences, 1e-4).hidden <= 1e-3
    with pytest.raises(UserError, match=r"logits within \d\.\de-\d+, 0 decisions differ, hidden within"):
        check_parity(replace(model, bundle=told), checkpoint, sequences, 1e-4)


def test_decisions_within_the_tolerance_do_not_count(material: Path) -> None:
    detector = load_checkpoint(material / "discriminator")
    ours, theirs = np.array([1e-6, 1.0, -1.0]), np.array([-1e-6, 1.0, 1.0])
    assert _decisions_differ(detector, ours, theirs, 1e-4) == 1
    classifier = load_checkpoint(material / "classifier")
    assert _decisions_differ(classifier, np.array([0.5, 0.50001]), np.array([0.50001, 0.5]), 1e-4) == 0
    assert _decisions_differ(classifier, np.array([0.0, 1.0]), np.array([1.0, 0.0]), 1e-4) == 1
    assert replace(classifier).kind == "classifier"
