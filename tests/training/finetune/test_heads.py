"""The published head is saved as a Hugging Face head that says the same."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from transformers import ElectraForSequenceClassification

from training.errors import UserError
from training.finetune.heads import to_hugging_face_head
from training.finetune.model import load_model


def test_plain_head_and_its_twin_give_the_same_logits(checkpoint: Path, tmp_path: Path) -> None:
    model = load_model(checkpoint, "single_label", ["a", "b", "c"], plain_head=True).eval()
    torch.nn.init.normal_(model.classifier.out_proj.bias)
    ids = torch.randint(5, 60, (4, 11))
    wanted = model(ids).logits
    to_hugging_face_head(model)
    model.save_pretrained(tmp_path)
    loaded = ElectraForSequenceClassification.from_pretrained(tmp_path).eval()
    torch.testing.assert_close(loaded(ids).logits, wanted, atol=1e-5, rtol=1e-5)
    assert wanted.std() > 0


def test_too_many_labels_are_refused(checkpoint: Path) -> None:
    with pytest.raises(UserError, match=r"can hold 16 labels with hidden size 32, not 17"):
        load_model(checkpoint, "single_label", [str(at) for at in range(17)], plain_head=True)


def test_other_heads_stay(checkpoint: Path) -> None:
    model = load_model(checkpoint, "single_label", ["a", "b"])
    head = model.classifier
    to_hugging_face_head(model)
    assert model.classifier is head
