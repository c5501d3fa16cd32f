"""Copies of one model on one host that share their memory, for processes that compute on a CPU.

DDP would send all gradients through sockets and let every process run the same Adam over all parameters.
Here parameters, both moments and places for gradients lie in memory that all processes map. Each process
owns a part of all parameters: it adds up everybody's gradients of that part and updates it for all. That is
stage 1 of ZeRO (Rajbhandari et al. 2020), with nothing to gather afterwards.
"""

from __future__ import annotations

import contextlib
import itertools
import os
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, distributed, nn

from training.electra.optimizer import ElectraAdam
from training.pretrain.place import Place

_ALIGNED = 16  # floats: every tensor begins at a cache line


class SharedCopies(nn.Module):
    """``joint`` with parameters that all processes of the host have in common; made by :func:`share`.

    Between :meth:`exchange` and :meth:`settle` each process changes its own part of the parameters; at all
    other times nobody does, so that the first process may read and save them.
    """

    def __init__(self, joint: nn.Module, optimizer: ElectraAdam, place: Place, memory: Tensor) -> None:
        """``memory``: float32 ``[3 + processes, elements]`` zeros, for weights, moments and all gradients."""
        super().__init__()
        self.joint = joint
        self._rank = place.rank
        weights, first, second, *self._areas = memory.unbind()
        bounds = [memory.shape[1] * rank // place.world for rank in range(place.world + 1)]
        self._all = _parameters(optimizer)
        self._offsets = [0, *itertools.accumulate(_room(parameter) for parameter in self._all)]
        # For each process, what it owns of each flattened parameter.
        self._owned = [
            [
                slice(*(min(max(bound - offset, 0), parameter.numel()) for bound in bounds[rank : rank + 2]))
                for parameter, offset in zip(self._all, self._offsets, strict=False)
            ]
            for rank in range(place.world)
        ]
        for parameter, offset in zip(self._all, self._offsets, strict=False):
            state = optimizer.state[parameter]
            for kind, common in (("first", first), ("second", second)):
                state[kind] = self._moved(state.get(kind), common, parameter, offset)
            parameter.data = self._moved(parameter.data, weights, parameter, offset)
        optimizer.parts = dict(zip(self._all, self._owned[self._rank], strict=True))
        distributed.barrier()  # what the first process wrote is there for all

    def forward(self, *inputs: Any) -> Any:
        """As ``joint``."""
        return self.joint(*inputs)

    @torch.no_grad()
    def exchange(self) -> list[Tensor]:
        """Sum the gradients of all processes where this one owns them; returns these parts, flat.

        What other processes own is left as it is. All processes must have gradients for the same parameters.
        """
        flat = {at: p.grad.view(-1) for at, p in enumerate(self._all) if p.grad is not None}
        for rank, owned in enumerate(self._owned):
            if rank != self._rank:
                mine = [gradient[owned[at]] for at, gradient in flat.items()]
                torch._foreach_copy_(self._places(self._rank, rank, flat), mine)
        distributed.barrier()
        sums = [gradient[self._owned[self._rank][at]] for at, gradient in flat.items()]
        for rank in range(len(self._owned)):
            if rank != self._rank:
                torch._foreach_add_(sums, self._places(rank, self._rank, flat))
        return [part for part in sums if len(part)]

    def settle(self) -> None:
        """Wait until all processes have updated their parts."""
        distributed.barrier()

    def _places(self, writer: int, owner: int, which: Iterable[int]) -> list[Tensor]:
        """Where ``writer`` leaves what it has of the parameters ``which`` for ``owner``."""
        area, owned = self._areas[writer], self._owned[owner]
        return [
            area[self._offsets[at] + owned[at].start : self._offsets[at] + owned[at].stop] for at in which
        ]

    def _moved(self, tensor: Tensor | None, common: Tensor, parameter: nn.Parameter, offset: int) -> Tensor:
        """A view into ``common`` that holds what the first process has in ``tensor``, or zeros."""
        view = common[offset : offset + parameter.numel()].view(parameter.shape)
        if tensor is not None and self._rank == 0:
            view.copy_(tensor)
        return view


def share(joint: nn.Module, optimizer: ElectraAdam, place: Place) -> SharedCopies | None:
    """``joint`` in memory that all processes map; None where they cannot. All must call this together."""
    if not can_share(place):
        return None
    elements = sum(_room(parameter) for parameter in _parameters(optimizer))
    memory = _common_memory(elements * (3 + place.world), place)
    return None if memory is None else SharedCopies(joint, optimizer, place, memory.view(-1, elements))


def can_share(place: Place) -> bool:
    """Whether all processes compute on the CPU of one host that has memory without a name (Linux)."""
    on_one_host = int(os.environ.get("LOCAL_WORLD_SIZE", "1")) == place.world > 1
    return on_one_host and place.device.type == "cpu" and hasattr(os, "memfd_create")


def _parameters(optimizer: ElectraAdam) -> list[nn.Parameter]:
    return [parameter for group in optimizer.param_groups for parameter in group["params"]]


def _room(parameter: nn.Parameter) -> int:
    return -(-parameter.numel() // _ALIGNED) * _ALIGNED


def _common_memory(size: int, place: Place) -> Tensor | None:
    """float32 ``[size]`` zeros, the same memory in every process; None if one of them may not open it.

    A file without a name: it goes with the last process, whatever ends it, and no limit of /dev/shm (64 MB in
    a container) applies.
    """
    where = [0, 0]
    if place.first:
        where = [os.getpid(), os.memfd_create("electra")]
        os.truncate(where[1], size * 4)
    shared = torch.tensor(where)
    distributed.broadcast(shared, 0)
    process, descriptor = shared.tolist()
    memory = None
    # Other users' processes, and those of hardened hosts, are closed to us.
    with contextlib.suppress(OSError, RuntimeError):
        path = f"/proc/{process}/fd/{descriptor}"
        memory = torch.from_file(path, shared=True, size=size, dtype=torch.float32)
    failed = torch.tensor(int(memory is None))
    distributed.all_reduce(failed)
    if place.first:
        os.close(descriptor)
    return None if int(failed) else memory
