"""Threads follow the container's quota; bfloat16 follows the hardware."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch

from training.finetune import hardware


@pytest.mark.parametrize(("quota", "most"), [("100000 100000", 1), ("50000 100000", 1), ("max 100000", None)])
def test_threads_follow_the_quota(tmp_path: Path, quota: str, most: int | None) -> None:
    file = tmp_path / "cpu.max"
    file.write_text(quota)
    granted = len(os.sched_getaffinity(0))
    assert hardware.granted_threads(file) == (granted if most is None else min(granted, most))
    assert hardware.granted_threads(tmp_path / "none") == granted


@pytest.mark.parametrize(("flags", "pays"), [("fma avx2", False), ("avx512_bf16", True), ("amx_bf16", True)])
def test_auto_precision_looks_for_instructions(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, flags: str, pays: bool
) -> None:
    file = tmp_path / "cpuinfo"
    file.write_text(f"model name : Some\nflags : fpu {flags} sse\n")
    monkeypatch.setattr(hardware, "_CPU_INFO", file)
    cpu = torch.device("cpu")
    assert hardware.use_bf16("auto", cpu) is pays
    assert hardware.use_bf16("bf16", cpu)
    assert not hardware.use_bf16("fp32", cpu)
