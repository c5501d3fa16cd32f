"""The place of this process among others: its rank, the device that it computes on, and in which numbers."""

from __future__ import annotations

import os
from dataclasses import dataclass

import torch
from torch import distributed

from training.allocator import keep_freed_memory
from training.errors import UserError
from training.hardware import native_bfloat16
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
