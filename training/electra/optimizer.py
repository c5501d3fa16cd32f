"""Adam as google-research/electra runs it, and which parameters decay."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor, distributed, nn
from torch.distributed.tensor import DTensor
from torch.optim.adamw import adamw

_LATE = 1e9  # the step at which bias correction is 1 in float32
_NO_DECAY = ("LayerNorm", "_norm.", "bias")


class ElectraAdam(torch.optim.Optimizer):
    """Adam with decoupled weight decay, epsilon outside the root, and bias correction only when asked for.

    Without correction the first update from a zero state is ``lr * 0.1 g / (sqrt(0.001) |g| + eps)``: about
    3.16 times ``lr`` (google-research/electra, ``AdamWeightDecayOptimizer``). Decay is added to the update
    before it is multiplied by ``lr``. Of parameters sharded over processes each updates its own shards.
    """

    def __init__(
        self,
        parameters: Iterable[dict[str, Any]],
        lr: float,
        *,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-6,
        weight_decay: float = 0.01,
        bias_correction: bool = False,
    ) -> None:
        defaults = {
            "lr": lr,
            "betas": betas,
            "eps": eps,
            "weight_decay": weight_decay,
            "bias_correction": bias_correction,
        }
        super().__init__(parameters, defaults)
        # Where set, a 0-dim tensor that stands for the groups' ``lr``: a recorded update reads it anew.
        self.rate: Tensor | None = None
        # Where set, what of each flattened parameter this process updates; others update the rest.
        self.parts: Mapping[nn.Parameter, slice] | None = None

    def count(self) -> None:
        """Count an update that replayed a recorded :meth:`step` of all groups."""
        for group in self.param_groups:
            group["step"] = group.get("step", 0) + 1

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """Apply one update. ``state["step"]`` counts updates per group."""
        for group in self.param_groups:
            parameters = [p for p in group["params"] if p.grad is not None]
            if not parameters:
                continue
            group["step"] = group.get("step", 0) + 1
            if self.parts is not None:
                parameters = [p for p in parameters if self.parts[p].start < self.parts[p].stop]
                if not parameters:
                    continue
            for parameter in parameters:
                if not self.state[parameter]:
                    self.state[parameter]["first"] = torch.zeros_like(parameter)
                    self.state[parameter]["second"] = torch.zeros_like(parameter)
            gradients = [self._held(p, p.grad) for p in parameters]
            first = [self._held(p, self.state[p]["first"]) for p in parameters]
            second = [self._held(p, self.state[p]["second"]) for p in parameters]
            # The fused kernel makes one pass over memory. It counts the step itself; a very late one makes
            # its bias correction 1.
            done = group["step"] - 1 if group["bias_correction"] else _LATE
            # On a GPU the steps are made there: a copy would wait for all that was launched before.
            steps = torch.full((len(gradients),), float(done), device=gradients[0].device)
            adamw(
                [self._held(p, p) for p in parameters],
                gradients,
                first,
                second,
                [],
                list(steps.unbind()),
                fused=True,
                amsgrad=False,
                beta1=group["betas"][0],
                beta2=group["betas"][1],
                lr=group["lr"] if self.rate is None else self.rate,
                weight_decay=group["weight_decay"],
                eps=group["eps"],
                maximize=False,
            )

    def _held(self, parameter: nn.Parameter, tensor: Tensor) -> Tensor:
        """What this process updates of ``tensor``, which belongs to ``parameter``."""
        if self.parts is None:
            return _shard(tensor)
        return tensor.view(-1)[self.parts[parameter]]


def parameter_groups(model: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """Two groups, decayed and not; every trainable parameter stands in exactly one, tied ones once.

    LayerNorm weights and all biases do not decay; embeddings do (google-research/electra).
    """
    decayed: list[nn.Parameter] = []
    plain: list[nn.Parameter] = []
    for name, parameter in model.named_parameters():  # named_parameters() yields a tied parameter once
        if parameter.requires_grad:
            (plain if any(part in name for part in _NO_DECAY) else decayed).append(parameter)
    return [{"params": decayed, "weight_decay": weight_decay}, {"params": plain, "weight_decay": 0.0}]


def _shard(tensor: Tensor) -> Tensor:
    """What this process holds of ``tensor``: all of it, unless it is sharded.

    Adam works element by element, so shards need no exchange, and plain tensors no dispatch for each of them.
    """
    return tensor.to_local() if isinstance(tensor, DTensor) else tensor


@torch.no_grad()
def clip_gradients(parameters: Iterable[nn.Parameter], maximum: float) -> torch.Tensor:
    """Scale all gradients so that their joint norm is at most ``maximum``.

    Returns the norm before clipping, 0-dim and on the device: reading it is the caller's choice, since it
    costs a synchronisation. Of sharded gradients the norm is that of all shards together, on every process.
    """
    whole = [p.grad for p in parameters if p.grad is not None]
    group = whole[0].device_mesh.get_group() if isinstance(whole[0], DTensor) else None
    return clip_parts([_shard(gradient) for gradient in whole], maximum, group)


@torch.no_grad()
def clip_parts(
    gradients: list[Tensor], maximum: float, group: distributed.ProcessGroup | None
) -> torch.Tensor:
    """``clip_gradients`` of parts of gradients, the rest of which the other processes of ``group`` hold."""
    norm = torch.stack(torch._foreach_norm(gradients)).norm() if gradients else torch.zeros(())
    if group is not None:
        square = norm.square()
        distributed.all_reduce(square, group=group)
        norm = square.sqrt()
    if gradients:
        torch._foreach_mul_(gradients, (maximum / (norm + 1e-6)).clamp(max=1.0))
    return norm
