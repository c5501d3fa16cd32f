"""Averages and speed between two log lines; nothing is copied from the device in between."""

from __future__ import annotations

import time

import torch
from torch import distributed

from training.electra.flops import matmul_flops_per_token
from training.errors import UserError
from training.hardware import matmul_rate
from training.pretrain import checkpoint as checkpoints
from training.pretrain.place import autocast
from training.pretrain.setup import Run


def not_finite(run: Run) -> UserError:
    good = checkpoints.list_checkpoints(run.directory / "checkpoints")
    back = f"the last good checkpoint is {good[-1].name}" if good else "there is no checkpoint yet"
    return UserError(
        f"{run.directory}: the loss is not finite at step {run.step + 1}; {back}. Lower "
        "learning_rate or raise "
        "warmup_steps, then run the same command"
    )


def machine_rate(run: Run) -> float:
    """Operations per second of matrix products in the run's numbers, of all its processes together."""
    device = run.place.device
    numbers = autocast(run.config.numbers, device)
    dtype = torch.bfloat16 if numbers._enabled else torch.float32
    rate = torch.tensor(matmul_rate(dtype, device, seconds=0.1), device=device, dtype=torch.float32)
    if run.place.world > 1:
        distributed.all_reduce(rate)
    return float(rate)


class Meter:
    """Averages of device scalars between two readings, and the speed, also as a share of ``rate``, the
    operations per second that the machine's matrix products reach.
    """

    def __init__(self, run: Run, rate: float) -> None:
        self._run, self._rate = run, rate
        self._sums: dict[str, torch.Tensor] = {}
        self._steps, self._tokens, self._since = 0, run.tokens, time.perf_counter()
        self._last: torch.Tensor | None = None

    def add(self, values: dict[str, torch.Tensor]) -> None:
        """Add one step's values; nothing is copied from the device."""
        for key, value in values.items():
            self._sums[key] = self._sums[key] + value if key in self._sums else value.clone()
        self._last = values["gradient_norm"]
        self._steps += 1

    def check(self) -> None:
        """Refuse to save a state that is not finite."""
        if self._last is not None and not bool(self._last.isfinite()):
            raise not_finite(self._run)

    def read(self) -> dict[str, float]:
        """The averages since the last reading; this waits for the device."""
        run = self._run
        self.check()
        values = {key: float(total) / self._steps for key, total in self._sums.items()}
        if run.place.world > 1:
            names = sorted(values)
            tensor = torch.tensor([values[name] for name in names], device=run.place.device)
            distributed.all_reduce(tensor)
            # Losses are shares of the global batch and add up; the norm is the same everywhere.
            summed = dict(zip(names, tensor.tolist(), strict=True))
            values = summed | {"gradient_norm": summed["gradient_norm"] / run.place.world}
        seconds = time.perf_counter() - self._since
        speed = (run.tokens - self._tokens) / seconds
        phase = run.config.phases[run.phase_of(run.step - 1)[0]]
        operations = speed * matmul_flops_per_token(run.electra, phase.length)
        values |= {
            "learning_rate": run.optimizer.param_groups[0]["lr"],
            "tokens": float(run.tokens),
            "tokens_per_second": speed,
            "teraflops": operations / 1e12,
            "flop_utilisation": operations / self._rate,
        }
        self._sums, self._steps, self._tokens, self._since = {}, 0, run.tokens, time.perf_counter()
        return values
