"""Bfloat16 and the name follow what the processor says."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from app.runtime.threads import available_threads
from training import hardware


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
    assert hardware.hardware_name() == f"Some One, {available_threads()} cores"
    file.unlink()
    assert not hardware.native_bfloat16(torch.device("cpu")), "another system says nothing"
    assert hardware.hardware_name()


def test_the_rate_is_of_products_and_draws_no_random_number() -> None:
    before = torch.get_rng_state()
    assert hardware.matmul_rate(torch.float32, torch.device("cpu"), sizes=(16, 32), seconds=0.01) > 1e5
    assert torch.equal(torch.get_rng_state(), before)
