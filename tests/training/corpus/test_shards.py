from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from training.corpus import CorpusConfig, SourceConfig, TokenShards, build
from training.corpus.shards import MANIFEST, Split
from training.corpus.writer import ShardWriter, remove_unfinished
from training.errors import UserError


@settings(max_examples=40)
@given(st.lists(st.lists(st.integers(0, 65_535), min_size=1, max_size=50), min_size=1, max_size=20))
def test_documents_come_back_as_they_were_written(
    tmp_path_factory: pytest.TempPathFactory, documents: list[list[int]]
) -> None:
    folder = tmp_path_factory.mktemp("shards")
    writer = ShardWriter(folder, "s", "train", 0, np.uint16)
    for ids in documents:
        writer.add(np.array(ids, np.uint16))
    assert not [
        path for path in folder.iterdir() if not path.name.startswith(".")
    ]  # nothing half-written in sight
    entry = writer.finish()
    assert entry is not None
    assert (folder / entry["path"]).read_bytes() == b"".join(
        token.to_bytes(2, "little") for ids in documents for token in ids
    )
    manifest = {
        "schema_version": 1,
        "tokenizer_sha256": "0",
        "dtype": "uint16",
        "vocab_size": 65_536,
        "sources": {"s": {"weight": 1.0}},
        "shards": [entry],
    }
    (folder / MANIFEST).write_text(json.dumps(manifest))
    shards = TokenShards(folder, verify=True)
    assert [shards.read(handle).tolist() for handle in shards.documents("train")] == documents
    assert shards.all_shards[0].lengths.tolist() == [len(ids) for ids in documents]
    with pytest.raises(IndexError):
        shards.all_shards[0].document(len(documents))


def test_a_writer_without_documents_leaves_nothing(tmp_path: Path) -> None:
    assert ShardWriter(tmp_path, "s", "heldout", 0, np.uint16).finish() is None
    assert not list(tmp_path.iterdir())


def test_unfinished_files_are_removed(tmp_path: Path) -> None:
    writer = ShardWriter(tmp_path, "s", "train", 0, np.uint16)
    writer.add(np.array([1, 2], np.uint16))
    assert list(tmp_path.iterdir())
    remove_unfinished(tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory, tokenizer_file: Path, make_texts: object) -> Path:
    folder = tmp_path_factory.mktemp("built")
    (folder / "a.txt").write_text("\n".join(make_texts(200)))  # type: ignore[operator]
    config = CorpusConfig(sources=(SourceConfig(path=str(folder / "a.txt")),), held_out=0.1, workers=1)
    build(config, tokenizer_file, folder / "out", progress=False)
    return folder / "out"


@pytest.fixture
def copied(built: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(built, tmp_path / "copy"))


def test_splits_and_sources(built: Path, tokenizer_file: Path) -> None:
    shards = TokenShards(built, tokenizer_file, verify=True)
    splits: list[Split] = ["train", "heldout"]
    counts = {split: sum(1 for _ in shards.documents(split)) for split in splits}
    assert counts["train"] + counts["heldout"] == 200
    assert counts["heldout"] == shards.manifest["sources"]["a"]["heldout_documents"] > 0
    assert shards.tokens("train") + shards.tokens("heldout") == shards.manifest["sources"]["a"]["tokens"]
    assert shards.weights == {"a": 1.0}
    assert not list(shards.documents("train", source="b"))
    assert shards.all_shards[0].ids.dtype == np.dtype("<u2")


def test_another_tokenizer_is_refused(built: Path, tokenizer_file: Path, tmp_path: Path) -> None:
    other = tmp_path / "tokenizer.json"
    values = json.loads(tokenizer_file.read_text(encoding="utf-8"))
    values["normalizer"] = None
    other.write_text(json.dumps(values), encoding="utf-8")
    with pytest.raises(UserError, match=r"made with tokenizer .* build the corpus again"):
        TokenShards(built, other)


def test_damage_is_named(copied: Path) -> None:
    shard = copied / "a-00000.bin"
    content = bytearray(shard.read_bytes())
    content[10] ^= 1
    shard.write_bytes(content)
    TokenShards(copied)
    with pytest.raises(UserError, match=r"a-00000\.bin: its content changed"):
        TokenShards(copied, verify=True)
    shard.write_bytes(content[:-2])
    with pytest.raises(UserError, match=r"a-00000\.bin: \d+ bytes where \d+ are expected"):
        TokenShards(copied)
    shard.unlink()
    with pytest.raises(UserError, match=r"a-00000\.bin: named in manifest\.json but not there"):
        TokenShards(copied)


def test_a_damaged_index_is_named(copied: Path) -> None:
    index = copied / "a-00000.idx.npy"
    np.save(index, np.load(index)[:-1])
    with pytest.raises(UserError, match=r"a-00000\.idx\.npy: damaged"):
        TokenShards(copied)
    index.write_bytes(b"\x93NUMPY")
    with pytest.raises(UserError, match=r"a-00000\.idx\.npy: damaged"):
        TokenShards(copied)


def test_manifest_mistakes(copied: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"manifest\.json: not there"):
        TokenShards(tmp_path)
    manifest = copied / MANIFEST
    manifest.write_text(manifest.read_text().replace('"schema_version": 1', '"schema_version": 9'))
    with pytest.raises(UserError, match="format version 9"):
        TokenShards(copied)
    manifest.write_text("{")
    with pytest.raises(UserError, match="not a manifest"):
        TokenShards(copied)
