"""Token frequencies are those of the text, weighted as in training."""

from pathlib import Path

import numpy as np
import torch

from training.corpus import CorpusConfig, SourceConfig, build
from training.corpus.shards import TokenShards
from training.pretrain import frequencies
from training.pretrain.frequencies import token_log_probabilities
from training.tokenizer import load_tokenizer


def test_frequencies_of_small_text_are_exact(root: Path) -> None:
    shards = TokenShards(root / "shards")
    vocabulary = load_tokenizer(root / "tokenizer").get_vocab_size()
    ids = np.concatenate([shards.read(handle) for handle in shards.documents("train")])
    counts = np.bincount(ids, minlength=vocabulary) + 1.0
    logs = token_log_probabilities(shards, vocabulary)
    assert torch.allclose(logs.exp(), torch.from_numpy(counts / counts.sum()).float(), atol=1e-6)


def test_sources_are_weighted_and_long_ones_sampled(root: Path, tmp_path: Path, monkeypatch) -> None:
    (tmp_path / "one.txt").write_text("\n\n".join(f"the cat sat on {n}" for n in range(300)), "utf-8")
    (tmp_path / "two.txt").write_text("\n\n".join(f"今天天气很好{n}" for n in range(300)), "utf-8")
    sources = tuple(
        SourceConfig(path=str(tmp_path / f"{name}.txt"), weight=weight)
        for name, weight in (("one", 1.0), ("two", 3.0))
    )
    corpus = CorpusConfig(sources=sources, held_out=0.1, workers=1, min_characters=4)
    build(corpus, root / "tokenizer" / "tokenizer.json", tmp_path / "shards", progress=False)
    shards, tokenizer = TokenShards(tmp_path / "shards"), load_tokenizer(root / "tokenizer")
    size, cat = tokenizer.get_vocab_size(), tokenizer.encode("cat", add_special_tokens=False).ids[0]
    counts = np.ones(size)
    for source, weight in shards.weights.items():
        for shard in shards.shards("train", source):
            counts += weight * np.bincount(shard.ids, minlength=size)
    exact = np.log(counts / counts.sum())
    found = token_log_probabilities(shards, size)
    assert abs(float(found[cat]) - exact[cat]) < 1e-5
    monkeypatch.setattr(frequencies, "_TOKENS", 400)
    monkeypatch.setattr(frequencies, "_STRETCH", 40)
    assert abs(float(token_log_probabilities(shards, size)[cat]) - exact[cat]) < 0.5
