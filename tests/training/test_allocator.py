"""Freed memory stays with the process, so that taking it again costs no page faults."""

import subprocess
import sys

import pytest

SCRIPT = """
import resource, sys
import torch
from training.allocator import keep_freed_memory, return_freed_memory
if sys.argv[1] != "plain" and not keep_freed_memory():
    sys.exit(77)
if sys.argv[1] == "return":
    return_freed_memory()
def take():
    # Larger than what the C library learns to keep by itself (32 MiB).
    return torch.ones(64 * 2**20 // 4)
# The heap needs a few rounds to settle.
for _ in range(40):
    take()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(10):
    take()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def _faults(mode: str) -> int:
    done = subprocess.run([sys.executable, "-c", SCRIPT, mode], capture_output=True, text=True, check=False)
    if done.returncode == 77:
        pytest.skip("needs the GNU C library")
    assert done.returncode == 0, done.stderr
    return int(done.stdout)


def test_pages_are_taken_once() -> None:
    assert _faults("keep") < 100
    assert _faults("plain") > 100
    assert _faults("return") > 100
