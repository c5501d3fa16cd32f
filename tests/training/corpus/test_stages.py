from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from training.corpus.config import CorpusConfig, SourceConfig
from training.corpus.stages import Counts, Stage, Stages, source_key

CONFIG = CorpusConfig(sources=(SourceConfig(path="a"),))
FILES = [("a.txt", 10, 20)]


def key(config: CorpusConfig = CONFIG, files: list[tuple[str, int, int]] = FILES, **arguments: object) -> str:
    values = {"tokenizer": "t", "previous": []} | arguments
    return source_key(config, config.sources[0], files, **values)  # type: ignore[arg-type]


def test_the_key_holds_what_the_tokens_depend_on() -> None:
    source = CONFIG.sources[0]
    others = [
        key(tokenizer="u"),
        key(files=[("a.txt", 10, 21)]),
        key(previous=["x"]),
        key(replace(CONFIG, held_out=0.5)),
        key(replace(CONFIG, min_characters=3)),
        key(replace(CONFIG, shard_tokens=2048)),
        key(replace(CONFIG, deduplicate="near")),
        key(replace(CONFIG, sources=(replace(source, columns=("text",)),))),
        key(replace(CONFIG, sources=(replace(source, language="zh"),))),
    ]
    assert len({key(), *others}) == len(others) + 1


def test_the_key_holds_nothing_else() -> None:
    source = CONFIG.sources[0]
    assert key(replace(CONFIG, workers=9)) == key()
    assert key(replace(CONFIG, sources=(replace(source, weight=5.0),))) == key()
    assert key(replace(CONFIG, near_threshold=0.9)) == key()  # not in use
    assert key(replace(CONFIG, deduplicate="none")) == key(
        replace(CONFIG, deduplicate="none"), previous=["x"]
    )


@pytest.fixture
def stages(tmp_path: Path) -> Stages:
    """One stored stage of source ``s`` with one part."""
    stages = Stages(tmp_path)
    for name in ("s-00000.bin", "s-00000.idx.npy", "s-1-00000.bin", "s.heldout-00000.bin", "other.txt"):
        (tmp_path / name).write_text("x")
    stages.save_digests("s", 0, [1, 2**64 - 1], [np.array([3, 4], np.uint64), np.array([5, 6], np.uint64)])
    entry = {"path": "s-00000.bin", "index_path": "s-00000.idx.npy"}
    stages.save("s", Stage("k", True, 1, Counts(read=7, languages={"zh": 1, "en": 2, "other": 0}), [entry]))
    return stages


def test_a_stage_comes_back(stages: Stages) -> None:
    stage = stages.load("s", "k")
    assert (stage.finished, stage.parts, stage.counts.read, stage.counts.languages["en"]) == (True, 1, 7, 2)
    ((digests, bands),) = stages.load_digests("s", 1)
    assert digests.tolist() == [1, 2**64 - 1]
    assert bands.tolist() == [[3, 4], [5, 6]]


@pytest.mark.parametrize("damage", ["key", "shard", "digests", "json", "field"])
def test_a_stage_that_does_not_fit_is_deleted_with_its_shards(
    stages: Stages, tmp_path: Path, damage: str
) -> None:
    file = tmp_path / "stages" / "s.json"
    if damage == "shard":
        (tmp_path / "s-00000.idx.npy").unlink()
    elif damage == "digests":
        (tmp_path / "stages" / "s-00000.npz").unlink()
    elif damage == "json":
        file.write_text(file.read_text()[:-5])
    elif damage == "field":
        file.write_text(file.read_text().replace('"parts"', '"pieces"'))
    stage = stages.load("s", "other" if damage == "key" else "k")
    assert (stage.finished, stage.parts, stage.counts) == (False, 0, Counts())
    left = sorted(path.name for path in tmp_path.rglob("*") if path.is_file())
    assert left == ["other.txt", "s-1-00000.bin"]  # what belongs to others stays
