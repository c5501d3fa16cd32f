from __future__ import annotations

import random
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.corpus import duplicates
from training.corpus.duplicates import DigestSet, band_digests, bands_for

digests = st.integers(0, 2**64 - 1)


@given(st.lists(st.lists(digests, max_size=20), max_size=8), st.lists(digests, max_size=20))
def test_digest_set_agrees_with_a_set(batches: list[list[int]], others: list[int]) -> None:
    mine, reference = DigestSet(), set()
    for number, batch in enumerate(batches):
        new = sorted(set(batch) - reference)
        if number % 2:
            mine.update(np.array(new, np.uint64))
        else:
            for digest in new:
                mine.add(digest)
        reference |= set(batch)
    asked = [*others, *reference]
    known = mine.known(np.array(asked, np.uint64))
    found = [bool(in_array) or mine.is_recent(digest) for in_array, digest in zip(known, asked, strict=True)]
    assert found == [digest in reference for digest in asked]
    assert len(mine) == len(reference)


@given(st.lists(digests, max_size=30), st.lists(digests, max_size=30))
def test_digests_come_in_any_order_and_more_than_once(before: list[int], added: list[int]) -> None:
    mine = DigestSet()
    for many in (before, added + before[::2] + added[:3]):
        mine.update(np.array(many, np.uint64))
    assert mine._sorted.tolist() == sorted({*before, *added})
    assert mine._sorted.dtype == np.uint64


PEAK = """
import numpy as np
from pathlib import Path
from training.corpus.duplicates import DigestSet
def peak():
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))
mine, draw, before = DigestSet(), np.random.default_rng(0), peak()
for _ in range(16):
    mine.update(draw.integers(0, 2**63, 1 << 17).astype(np.uint64))
print((peak() - before) / len(mine))
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the peak is read from /proc")
def test_adding_takes_few_bytes_a_digest() -> None:
    """In a process of its own: what numpy's hash tables take is seen by the system alone."""
    done = subprocess.run([sys.executable, "-c", PEAK], check=True, capture_output=True, text=True)
    # 8 before, 8 after, a byte for where they go, and a lot of an eighth of a million; hash tables: 80.
    assert 8 < float(done.stdout) < 25


def test_recent_digests_move_to_the_array() -> None:
    mine = DigestSet()
    for digest in range(duplicates._RECENT):
        mine.add(digest)
    assert not mine.known(np.array([5], np.uint64)).any()
    mine.settle()
    assert mine.known(np.array([5, duplicates._RECENT], np.uint64)).tolist() == [True, False]
    assert not mine.is_recent(5)
    assert len(mine) == duplicates._RECENT


def _pair(draw: random.Random, changed: float) -> tuple[str, str]:
    letters = [chr(draw.randint(0x4E00, 0x9FA5)) for _ in range(1500)]
    other = list(letters)
    start = draw.randint(0, 100)
    count = int(changed * len(letters))
    other[start : start + count] = [chr(draw.randint(0x4E00, 0x9FA5)) for _ in range(count)]
    return "".join(letters), "".join(other)


def share_found(changed: float) -> float:
    draw = random.Random(0)
    found = 0
    for _ in range(60):
        first, second = (band_digests(text, 0.8) for text in _pair(draw, changed))
        found += bool(np.intersect1d(first, second).size)
    return found / 60


def test_near_duplicates_are_found_and_others_are_not() -> None:
    assert share_found(0.0) == 1.0
    assert share_found(0.02) > 0.95  # Jaccard similarity about 0.95
    assert share_found(0.5) < 0.05  # about 0.33
    assert share_found(1.0) == 0.0


def test_the_same_words_in_another_order_are_no_duplicate() -> None:
    draw = random.Random(0)
    words = ["".join(draw.choices("abcdefghijklmnopqrstuvwxyz", k=5)) for _ in range(300)]
    shared = 0
    for _ in range(20):
        digests = [band_digests(" ".join(draw.sample(words, len(words))), 0.8) for _ in range(2)]
        shared += bool(np.intersect1d(*digests).size)
    assert shared == 0


def test_bands_are_one_digest_each_whatever_the_text() -> None:
    count, _ = bands_for(0.8)
    for text in ("", "短", "a short text", "很长的文字" * 10_000):
        assert band_digests(text, 0.8).shape == (count,)
    assert len(set(band_digests("a short text", 0.8).tolist())) == count
    assert (band_digests("a b\nc defgh", 0.8) == band_digests("abc defgh", 0.8)).all()
