from __future__ import annotations

import lzma
from pathlib import Path

import datasets
import pytest

from training.corpus import CorpusConfig, SourceConfig, TokenShards, build, iter_documents, sample_texts
from training.corpus.sampling import _shares
from training.tokenizer import load_tokenizer


@pytest.fixture
def config(tmp_path: Path, make_texts: object) -> CorpusConfig:
    """Two sources of about the same size, one of them compressed; the first has twice the weight."""
    plain = "\n".join(f"one {text}" for text in make_texts(1500, seed=1))  # type: ignore[operator]
    packed = "\n".join(f"two {text}" for text in make_texts(1500, seed=2))  # type: ignore[operator]
    (tmp_path / "a.txt").write_text(plain, encoding="utf-8")
    (tmp_path / "b.txt.xz").write_bytes(lzma.compress(packed.encode()))
    sources = (
        SourceConfig(path=str(tmp_path / "a.txt"), weight=2),
        SourceConfig(path=str(tmp_path / "b.txt.xz")),
    )
    return CorpusConfig(sources=sources, held_out=0.05)


def test_sample_follows_the_weights(config: CorpusConfig) -> None:
    texts = list(sample_texts(config, characters=45_000, seed=0))
    first = sum(len(text) for text in texts if text.startswith("one"))
    second = sum(len(text) for text in texts if text.startswith("two"))
    assert 40_000 < first + second < 47_000
    assert 1.7 < first / second < 2.3


def test_sample_is_spread_over_the_source_and_repeatable(config: CorpusConfig) -> None:
    texts = list(sample_texts(config, characters=45_000, seed=0))
    assert texts == list(sample_texts(config, characters=45_000, seed=0))
    assert texts != list(sample_texts(config, characters=45_000, seed=1))
    numbers = [int(text.split()[2]) for text in texts if text.startswith("one")]
    assert min(numbers) < 100
    assert max(numbers) > 1350


def test_a_wish_beyond_the_corpus_gives_all_of_it(config: CorpusConfig) -> None:
    everything = [text for source in config.sources for text in iter_documents(config, source)]
    assert list(sample_texts(config, characters=10**9)) == everything


def test_held_out_documents_are_never_sampled(
    config: CorpusConfig, tokenizer_file: Path, tmp_path: Path
) -> None:
    build(config, tokenizer_file, tmp_path / "out", progress=False)
    shards = TokenShards(tmp_path / "out")
    held_out = {tuple(shards.read(handle).tolist()) for handle in shards.documents("heldout")}
    assert len(held_out) > 50
    tokenizer = load_tokenizer(tokenizer_file)
    for text in sample_texts(config, characters=10**9):
        assert tuple(tokenizer.encode(text, add_special_tokens=False).ids) not in held_out


def test_a_source_of_unknown_size_gives_its_first_documents(tmp_path: Path) -> None:
    texts = [f"document number {number} of this data set" for number in range(50)]
    datasets.Dataset.from_dict({"text": texts}).save_to_disk(str(tmp_path / "saved"))
    config = CorpusConfig(sources=(SourceConfig(path=str(tmp_path / "saved")),), held_out=0)
    assert list(sample_texts(config, characters=100)) == texts[:3]


def test_shares() -> None:
    assert _shares([100, 100], [1.0, 3.0], 80) == [20, 60]
    assert _shares([10, 1000], [50.0, 1.0], 100) == [10, 90]  # what a small source lacks, the others give
    assert _shares([10, 20], [1.0, 1.0], 1000) == [10, 20]
    assert _shares([None], [1.0], 100) == [100]
    assert _shares([], [], 100) == []
