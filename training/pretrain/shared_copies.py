"""Copies of one model on one host that share their memory, for processes that compute on a CPU.

DDP would send all gradients through sockets and let every process run the same Adam over all parameters.
Here parameters, both moments and places for gradients lie in memory that all processes map. Each process
owns a part of all parameters: it adds up everybody's gradients of that part and updates it for all. That is
stage 1 of ZeRO (Rajbhandari et al. 2020), with nothing to gather afterwards.
"""

from __future__ import annotations

import os
from typing import Any

import torch
from torch import Tensor, distributed, nn

from training.electra.optimizer import ElectraAdam
from training.pretrain.hardware import Place

_ALIGNED = 16  # floats: every tensor begins at a cache line


class SharedCopies(nn.Module):
    """``joint`` with parameters that all processes of the host have in common.

    Between :meth:`exchange` and :meth:`settle` each process changes its own part of the parameters; at all
    other times nobody does, so that the first process may read and save them.
    """

    def __init__(self, joint: nn.Module, optimizer: ElectraAdam, place: Place) -> None:
        super().__init__()
        self.joint = joint
        self._rank, self._world = place.rank, place.world
        self._parameters_in_order = [p for group in optimizer.param_groups for p in group["params"]]
        self._offsets, total = [], 0
        for parameter in self._parameters_in_order:
            self._offsets.append(total)
            total += -(-parameter.numel() // _ALIGNED) * _ALIGNED
        memory = _common_memory(total * (3 + place.world), place).view(3 + place.world, total)
        weights, first, second, *self._areas = memory.unbind()
        for parameter, offset in zip(self._parameters_in_order, self._offsets, strict=True):
            state = optimizer.state[parameter]
            for kind, common in (("first", first), ("second", second)):
                state[kind] = self._moved(state.get(kind), common, parameter, offset)
            parameter.data = self._moved(parameter.data, weights, parameter, offset)
        self._bounds = [total * rank // place.world for rank in range(place.world + 1)]
        optimizer.parts = {
            parameter: self._span(self._rank, parameter, offset)
            for parameter, offset in zip(self._parameters_in_order, self._offsets, strict=True)
        }
        distributed.barrier()  # what the first process wrote is there for all

    def forward(self, *inputs: Any) -> Any:
        """As ``joint``."""
        return self.joint(*inputs)

    @torch.no_grad()
    def exchange(self) -> list[Tensor]:
        """Sum the gradients of all processes where this one owns them; returns these parts, flat.

        What other processes own is left as it is. All processes must have gradients for the same parameters.
        """
        placed = [
            (parameter, offset, parameter.grad.view(-1))
            for parameter, offset in zip(self._parameters_in_order, self._offsets, strict=True)
            if parameter.grad is not None
        ]
        for rank in range(self._world):
            if rank != self._rank:
                spans = [
                    (self._span(rank, parameter, offset), offset, flat) for parameter, offset, flat in placed
                ]
                self._copy_out(spans)
        distributed.barrier()
        own = [
            (self._span(self._rank, parameter, offset), offset, flat) for parameter, offset, flat in placed
        ]
        sums = [flat[span] for span, _, flat in own]
        for rank, area in enumerate(self._areas):
            if rank != self._rank:
                torch._foreach_add_(sums, [_within(area, span, offset) for span, offset, _ in own])
        return [part for part in sums if len(part)]

    def settle(self) -> None:
        """Wait until all processes have updated their parts."""
        distributed.barrier()

    def _copy_out(self, spans: list[tuple[slice, int, Tensor]]) -> None:
        area = self._areas[self._rank]
        torch._foreach_copy_(
            [_within(area, span, offset) for span, offset, _ in spans],
            [flat[span] for span, _, flat in spans],
        )

    def _moved(self, tensor: Tensor | None, common: Tensor, parameter: nn.Parameter, offset: int) -> Tensor:
        """A view into ``common`` that holds what the first process has in ``tensor``, or zeros."""
        view = common[offset : offset + parameter.numel()].view(parameter.shape)
        if tensor is not None and self._rank == 0:
            view.copy_(tensor)
        return view

    def _span(self, rank: int, parameter: nn.Parameter, offset: int) -> slice:
        """What ``rank`` owns of a flattened parameter that begins at ``offset``."""
        first, last = (
            min(max(bound - offset, 0), parameter.numel()) for bound in self._bounds[rank : rank + 2]
        )
        return slice(first, last)


def can_share(place: Place) -> bool:
    """Whether all processes compute on the CPU of one host that lets them share memory."""
    on_one_host = int(os.environ.get("LOCAL_WORLD_SIZE", "1")) == place.world > 1
    return on_one_host and place.device.type == "cpu" and hasattr(os, "memfd_create")


def _within(area: Tensor, span: slice, offset: int) -> Tensor:
    return area[offset + span.start : offset + span.stop]


def _common_memory(size: int, place: Place) -> Tensor:
    """float32 ``[size]`` zeros, the same memory in every process.

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
    memory = torch.from_file(f"/proc/{process}/fd/{descriptor}", shared=True, size=size, dtype=torch.float32)
    distributed.barrier()
    if place.first:
        os.close(descriptor)
    return memory
