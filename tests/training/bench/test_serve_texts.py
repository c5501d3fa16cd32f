"""Texts have the tokens that they are said to have."""

from __future__ import annotations

import pytest

from app.bundle import Bundle
from app.bundle_files import read_bundle
from app.tasks.model import load_encoder
from tests.toy import toy_bundle
from training.bench.serve.texts import MIX_TOKENS, mixed_lengths, texts_of
from training.errors import UserError


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return read_bundle(toy_bundle(tmp_path_factory.mktemp("models"), "toy", task="classify", max_tokens=400))


def test_texts_have_exactly_the_lengths_that_were_asked_for(bundle: Bundle) -> None:
    lengths = [3, 16, 64, 384]
    encoder = load_encoder(bundle)
    texts = texts_of(bundle, lengths)
    assert [len(encoder.encode(text)) + 2 for text in texts] == lengths
    assert texts == texts_of(bundle, lengths)
    assert texts != texts_of(bundle, lengths, seed=1)
    assert not any(encoder.encode(text).unknown.any() for text in texts)


def test_a_text_that_the_model_cannot_take_is_refused(bundle: Bundle) -> None:
    with pytest.raises(UserError, match="takes 400 tokens, the benchmark sends 500"):
        texts_of(bundle, [500])


def test_the_mix_is_even_from_end_to_end() -> None:
    lengths = mixed_lengths(185)
    assert (min(lengths), max(lengths)) == MIX_TOKENS
    assert len(set(lengths)) == 185
    assert sum(lengths) / len(lengths) == pytest.approx(200, abs=1)
    assert lengths != sorted(lengths)
