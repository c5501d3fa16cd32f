"""A teacher answers in the order of the student's labels, and token tasks need one tokenizer."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer

from training.errors import UserError
from training.finetune.config import FinetuneConfig
from training.finetune.features import FeatureBuilder
from training.finetune.model import load_model, save_checkpoint
from training.finetune.predict import ngram_logits
from training.finetune.teacher import teacher_logits
from training.ngrams.fit import fit_ngrams
from training.tables import Example
from training.tokenizer import load_tokenizer


def test_columns_are_put_in_the_order_of_the_student(checkpoint: Path, tmp_path: Path) -> None:
    tokenizer = load_tokenizer(checkpoint)
    model = load_model(checkpoint, "single_label", ["a", "b", "c"])
    save_checkpoint(model, tokenizer, tmp_path / "teacher")
    examples = [Example("味道很好", "", ("a",)), Example("价格", "", ("b",))]
    rows = FeatureBuilder(tokenizer, "single_label", ["a", "b", "c"], 32).build(examples)
    config = FinetuneConfig("c", ("t",), max_tokens=32)
    straight = teacher_logits(tmp_path / "teacher", config, ["a", "b", "c"], examples, rows)
    turned = teacher_logits(tmp_path / "teacher", config, ["c", "a", "b"], examples, rows)
    for one, other in zip(straight, turned, strict=True):
        np.testing.assert_allclose(other, one[[2, 0, 1]])


def test_n_grams_of_the_teacher_speak_with_their_share(checkpoint: Path, tmp_path: Path) -> None:
    tokenizer, labels = load_tokenizer(checkpoint), ["a", "b"]
    save_checkpoint(load_model(checkpoint, "single_label", labels), tokenizer, tmp_path / "teacher")
    examples = [Example("味道很好", "", ("a",)), Example("价格太贵", "", ("b",))]
    rows = FeatureBuilder(tokenizer, "single_label", labels, 32).build(examples)
    config = FinetuneConfig("c", ("t",), max_tokens=32)
    network = np.stack(teacher_logits(tmp_path / "teacher", config, labels, examples, rows))
    ngrams = fit_ngrams(
        [row.input_ids for row in rows],
        np.array([0, 1]),
        vocabulary=tokenizer.get_vocab_size(),
        special=[0, 2, 3],
        longest=2,
        terms=99,
    )
    ngrams.shares.copy_(torch.tensor([0.25, 3.0]))
    ngrams.save(tmp_path / "teacher")
    both = np.stack(teacher_logits(tmp_path / "teacher", config, labels, examples, rows))
    counted = ngram_logits(ngrams, rows, 0)
    assert counted[0, 0] > counted[0, 1]
    np.testing.assert_allclose(both, 0.25 * network + 3.0 * counted, rtol=1e-5)


def test_token_tasks_need_one_tokenizer(checkpoint: Path, tmp_path: Path) -> None:
    tokenizer = load_tokenizer(checkpoint)
    model = load_model(checkpoint, "token_labels", ["a", "b"])
    save_checkpoint(model, tokenizer, tmp_path / "teacher")
    examples = [Example("好", "", ("a",), None, ((0, 1),))]
    rows = FeatureBuilder(tokenizer, "token_labels", ["a", "b"], 32).build(examples)
    config = FinetuneConfig("c", ("t",), task="token_labels", max_tokens=32)
    (logits,) = teacher_logits(tmp_path / "teacher", config, ["a", "b"], examples, rows)
    assert logits.shape == (3, 2)
    text = tokenizer.to_str().replace('"好"', '"錯"')
    Tokenizer.from_str(text).save(str(tmp_path / "teacher" / "tokenizer.json"))
    with pytest.raises(
        UserError, match="the teacher has another tokenizer; for token_labels both must share one"
    ):
        teacher_logits(tmp_path / "teacher", config, ["a", "b"], examples, rows)
