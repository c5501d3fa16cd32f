"""Errors from a generator: only whole words, never the original, distributed as its softmax says."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
import torch
from transformers import ElectraConfig, ElectraForMaskedLM

from training.errors import UserError
from training.finetune.generator_errors import generator_sampler
from training.finetune.model import save_checkpoint
from training.tokenizer import load_tokenizer


@pytest.fixture(scope="module")
def generator(checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    config = ElectraConfig.from_pretrained(checkpoint)
    torch.manual_seed(0)
    model = ElectraForMaskedLM(config)
    torch.nn.init.normal_(model.generator_lm_head.bias, std=2.0)
    directory = tmp_path_factory.mktemp("generator") / "generator"
    save_checkpoint(model, load_tokenizer(checkpoint), directory)
    return directory


def test_samples_follow_the_softmax_without_the_original(generator: Path) -> None:
    text, span = "味道很好", (2, 3)
    sampler = generator_sampler(generator, seed=1)
    drawn = Counter(answer[0] for answer in sampler([(text, [span])] * 4000))
    tokenizer = load_tokenizer(generator)
    model = ElectraForMaskedLM.from_pretrained(generator).eval()
    ids = tokenizer.encode("味道很好").ids
    ids[3] = tokenizer.token_to_id("[MASK]")
    with torch.no_grad():
        logits = model(torch.tensor([ids])).logits[0, 3]
    for index in range(len(logits)):
        token = tokenizer.id_to_token(index)
        if (token.startswith(("##", "[")) and len(token) > 1) or token == "很":
            logits[index] = -torch.inf
            assert token not in drawn
    share = logits.softmax(-1)
    best = share.topk(3)
    for value, index in zip(best.values.tolist(), best.indices.tolist(), strict=True):
        expected = 4000 * value
        assert abs(drawn[tokenizer.id_to_token(index)] - expected) < 5 * expected**0.5


def test_parts_of_words_and_places_beyond_the_model_get_nothing(generator: Path) -> None:
    text = "nice 好" + "好" * 80
    (answer,) = generator_sampler(generator)([(text, [(0, 4), (5, 6), (80, 81)])])
    assert answer[0] is None
    assert answer[1] not in (None, "好")
    assert answer[2] is None


def test_a_discriminator_is_no_generator(checkpoint: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="has no generator head"):
        generator_sampler(checkpoint)
