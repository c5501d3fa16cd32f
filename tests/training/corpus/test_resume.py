"""A build that is killed with SIGKILL goes on where it stopped and ends with the same bytes."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.training.corpus.test_builder import contents

SCRIPT = """
import sys
from pathlib import Path
from training.corpus import CorpusConfig, SourceConfig, build
folder, tokenizer, out = map(Path, sys.argv[1:4])
sources = tuple(SourceConfig(path=str(folder / name)) for name in ("a.txt", "b.txt"))
config = CorpusConfig(sources=sources, deduplicate=sys.argv[4], held_out=0.05, shard_tokens=20_000, workers=2)
build(config, tokenizer, out, progress=False)
"""


def start(
    folder: Path, tokenizer_file: Path, out: Path, deduplicate: str = "exact"
) -> subprocess.Popen[bytes]:
    arguments = [str(folder), str(tokenizer_file), str(out), deduplicate]
    return subprocess.Popen([sys.executable, "-c", SCRIPT, *arguments])


def parts(out: Path) -> int:
    total = 0
    for path in (out / "stages").glob("*.json"):
        total += json.loads(path.read_text())["parts"]
    return total


def children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.fixture
def folder(tmp_path: Path, make_texts: object) -> Path:
    for seed, name in enumerate(("a.txt", "b.txt")):
        texts = make_texts(3000, words_each=60, seed=seed)  # type: ignore[operator]
        (tmp_path / name).write_text("\n".join([*texts, *texts[:200]]), encoding="utf-8")
    return tmp_path


def kill(process: subprocess.Popen[bytes]) -> None:
    """SIGKILL, and see that no worker waits for ever for work that never comes."""
    workers = children(process.pid)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    deadline = time.monotonic() + 10
    while any(map(alive, workers)) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not any(map(alive, workers))


def test_killed_builds_end_with_the_same_bytes(folder: Path, tokenizer_file: Path) -> None:
    assert start(folder, tokenizer_file, folder / "reference").wait(timeout=120) == 0
    out = folder / "out"
    for _ in range(3):
        before = parts(out)
        process = start(folder, tokenizer_file, out)
        while parts(out) <= before + 1:  # in the middle of a later part
            assert process.poll() is None
            time.sleep(0.001)
        assert len(children(process.pid)) >= 2
        kill(process)
        assert parts(out) > before  # finished parts are kept
        assert not (out / "manifest.json").exists()
    assert start(folder, tokenizer_file, out).wait(timeout=120) == 0
    assert contents(out) == contents(folder / "reference")


@pytest.mark.slow
def test_twenty_kills_at_random_moments(folder: Path, tokenizer_file: Path) -> None:
    assert start(folder, tokenizer_file, folder / "reference", "near").wait(timeout=120) == 0
    out, kills, draw = folder / "out", 0, random.Random(0)
    while kills < 20:
        process = start(folder, tokenizer_file, out, "near")
        try:
            assert process.wait(timeout=draw.uniform(0.1, 4)) == 0
        except subprocess.TimeoutExpired:
            kill(process)
            kills += 1
        else:
            assert contents(out) == contents(folder / "reference")
            shutil.rmtree(out)
    assert start(folder, tokenizer_file, out, "near").wait(timeout=120) == 0
    assert contents(out) == contents(folder / "reference")
