"""Updates as CUDA graphs: the thousand kernels of an update are recorded once and then launched by one call.

A narrow network keeps a large GPU waiting for the host that launches its kernels; a recorded update does not.
Everything that changes from one update to the next lies in tensors that stay where they are: the batch, the
learning rate, the weights and both moments.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor

from training.electra.losses import Batch
from training.errors import UserError
from training.pretrain.setup import Run
from training.pretrain.update import compute, set_rate, update

Shapes = tuple[torch.Size, ...]
Totals = dict[str, Tensor]
Work = Callable[[], Totals]
Recorder = Callable[[Work], Work]
"""Records the launches of some work without doing it; what it returns does it, into the same tensors."""

BEFORE = 3  # updates of a shape launched one by one first: layers compile, libraries make workspaces


def updater(run: Run, context: torch.autocast) -> Callable[[Batch], Totals]:
    """What makes one update of a batch on this device: recorded ones where that can be and was asked for."""
    config = run.config
    if (
        config.cuda_graphs
        and run.place.device.type == "cuda"
        and run.place.world == 1
        and not config.bias_correction  # its factor changes with every step
    ):
        # One pool for all recordings: only what they return outlives them.
        return RecordedUpdates(run, context, partial(record_cuda, torch.cuda.graph_pool_handle()))
    return lambda batch: update(run, batch, context)


class RecordedUpdates:
    """Updates of one process, a recording for each shape of batch."""

    def __init__(self, run: Run, context: torch.autocast, record: Recorder) -> None:
        self._run, self._context, self._record = run, context, record
        self._seen: dict[Shapes, int] = {}
        self._recorded: dict[Shapes, tuple[Batch, Work]] = {}
        run.optimizer.rate = torch.zeros((), device=run.place.device)

    def __call__(self, batch: Batch) -> Totals:
        """One update; the scalars it returns are overwritten by the next."""
        run = self._run
        shape = tuple(tensor.shape for tensor in _tensors(batch).values())
        # A batch of whole rows only is too rare to be worth a recording without the mask.
        batch = dataclasses.replace(batch, packed=True)
        set_rate(run)
        self._seen[shape] = self._seen.get(shape, 0) + 1
        if self._seen[shape] <= BEFORE:
            totals = compute(run, batch, self._context)
        else:
            if shape not in self._recorded:
                self._recorded[shape] = self._recording(batch)
            held, replay = self._recorded[shape]
            for name, tensor in _tensors(held).items():
                tensor.copy_(getattr(batch, name), non_blocking=True)
            totals = replay()
            run.optimizer.count()
        run.tokens += batch.ids.numel()
        return totals

    def _recording(self, batch: Batch) -> tuple[Batch, Work]:
        copies: dict[str, Any] = {name: tensor.clone() for name, tensor in _tensors(batch).items()}
        held = dataclasses.replace(batch, **copies)
        steps = [group["step"] for group in self._run.optimizer.param_groups]
        replay = self._record(lambda: compute(self._run, held, self._context))
        for group, step in zip(self._run.optimizer.param_groups, steps, strict=True):
            group["step"] = step  # recording launched nothing
        return held, replay


def record_cuda(pool: Any, work: Work) -> Work:
    """Record ``work`` as a CUDA graph that takes its memory from ``pool``.

    Only this thread is kept from what a recording forbids: another one may be copying the next batch.

    Raises:
        UserError: the device has too little memory.
    """
    graph = torch.cuda.CUDAGraph()
    try:
        with torch.cuda.graph(graph, pool=pool, capture_error_mode="thread_local"):
            totals = work()
    except torch.cuda.OutOfMemoryError:
        raise UserError(
            "pretrain: the GPU has too little memory to record an update; set micro_rows to a part of the "
            "phase's rows, or cuda_graphs: false"
        ) from None

    def replay() -> Totals:
        graph.replay()
        return totals

    return replay


def _tensors(batch: Batch) -> dict[str, Tensor]:
    named = {field.name: getattr(batch, field.name) for field in dataclasses.fields(batch)}
    return {name: value for name, value in named.items() if isinstance(value, Tensor)}
