"""What /proc says of the processor."""

from __future__ import annotations

from pathlib import Path

import pytest

from training.bench.serve.machine import this_machine


@pytest.mark.parametrize(
    ("flags", "vectors", "amx"),
    [("sse avx2", "AVX2", False), ("avx2 avx512f amx_bf16", "AVX-512", True), ("sse", "no AVX2", False)],
)
def test_vectors_are_read(tmp_path: Path, flags: str, vectors: str, amx: bool) -> None:
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc/cpuinfo").write_text(f"model name\t: Some CPU\nflags\t\t: {flags}\n", encoding="ascii")
    machine = this_machine(tmp_path)
    assert (machine.processor, machine.vectors, machine.amx) == ("Some CPU", vectors, amx)
    assert machine.cpus >= 1
