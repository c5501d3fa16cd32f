"""Threads follow the container's quota; bfloat16 and the name follow what the processor says."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch

from training import hardware


@pytest.mark.parametrize(("quota", "most"), [("100000 100000", 1), ("50000 100000", 1), ("max 100000", None)])
def test_threads_follow_the_quota(tmp_path: Path, quota: str, most: int | None) -> None:
    file = tmp_path / "cpu.max"
    file.write_text(quota)
    granted = len(os.sched_getaffinity(0))
    assert hardware.granted_threads(file) == (granted if most is None else min(granted, most))
    assert hardware.granted_threads(tmp_path / "none") == granted


@pytest.mark.parametrize(
    ("flags", "native"), [("fma avx2", False), ("avx512_bf16", True), ("amx_bf16", True)]
)
def test_the_processor_is_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, flags: str, native: bool
) -> None:
    file = tmp_path / "cpuinfo"
    file.write_text(f"model name : Some One\nflags : fpu {flags} sse\n")
    monkeypatch.setattr(hardware, "_CPU_INFO", file)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert hardware.native_bfloat16(torch.device("cpu")) is native
    assert hardware.hardware_name() == f"Some One, {hardware.granted_threads()} cores"
    file.unlink()
    assert not hardware.native_bfloat16(torch.device("cpu")), "another system says nothing"
    assert hardware.hardware_name()


def test_the_rate_is_of_products_and_draws_no_random_number() -> None:
    before = torch.get_rng_state()
    assert hardware.matmul_rate(torch.float32, torch.device("cpu"), sizes=(16, 32), seconds=0.01) > 1e5
    assert torch.equal(torch.get_rng_state(), before)
