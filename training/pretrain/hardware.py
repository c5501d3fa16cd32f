"""What this process computes on: device, number format, and its place among other processes."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import distributed

from training.allocator import keep_freed_memory
from training.errors import UserError
from training.pretrain.config import Numbers


@dataclass(frozen=True)
class Place:
    """Rank and device of this process. ``world`` is 1 without ``torchrun``."""

    rank: int
    world: int
    device: torch.device

    @property
    def first(self) -> bool:
        """Whether this process writes logs and checkpoints."""
        return self.rank == 0


def join() -> Place:
    """Join the process group that ``torchrun`` describes in the environment, if there is one."""
    world = int(os.environ.get("WORLD_SIZE", "1"))
    cuda = torch.cuda.is_available()
    local = int(os.environ.get("LOCAL_RANK", "0"))
    device = torch.device("cuda", local) if cuda else torch.device("cpu")
    if cuda:
        torch.cuda.set_device(device)
        torch.backends.cuda.matmul.allow_tf32 = True
    else:
        keep_freed_memory()
    if world > 1 and not distributed.is_initialized():
        # gloo beside nccl: processes agree on a stop without waiting for their devices.
        distributed.init_process_group("cpu:gloo,cuda:nccl" if cuda else "gloo")
    return Place(int(os.environ.get("RANK", "0")), world, device)


def leave(place: Place) -> None:
    """Leave the process group."""
    if place.world > 1 and distributed.is_initialized():
        distributed.destroy_process_group()


def native_bfloat16(device: torch.device) -> bool:
    """Whether ``device`` multiplies bfloat16 in hardware: elsewhere it is emulated and far slower than
    float32.
    """
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    try:
        flags = Path("/proc/cpuinfo").read_text(encoding="ascii", errors="ignore")
    except OSError:
        return False
    return "amx_bf16" in flags or "avx512_bf16" in flags


def autocast(numbers: Numbers, device: torch.device) -> torch.autocast:
    """The autocast context for ``numbers``; parameters stay in float32.

    Raises:
        UserError: bfloat16 was asked for where it is emulated.
    """
    native = native_bfloat16(device)
    if numbers == "bfloat16" and not native:
        raise UserError("numbers: bfloat16 is emulated on this processor and far slower; use auto or float32")
    enabled = native and numbers != "float32"
    return torch.autocast(device.type, torch.bfloat16, enabled=enabled)


def hardware_name() -> str:
    """The processor or GPU of this machine, for model cards."""
    if torch.cuda.is_available():
        return f"{torch.cuda.device_count()} x {torch.cuda.get_device_name()}"
    name = "CPU"
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="ignore").splitlines()
        name = next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        pass
    return f"{name}, {len(os.sched_getaffinity(0))} cores"
