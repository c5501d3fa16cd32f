"""One model on several processes: copies that average gradients (DDP, or one host's CPU and shared memory),
or shards of one model (FSDP2).

Under FSDP2 every parameter is a ``DTensor`` cut along its first dimension; each layer of both encoders is
gathered for its own pass only, everything else (tables, heads, projections) once per update. Tied tables stay
one parameter, for they are one module. Checkpoints and exports are made of whole tensors, so that nothing on
disk says how a run was spread.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, distributed, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import FSDPModule, fully_shard
from torch.distributed.tensor import DTensor, distribute_tensor
from torch.nn.parallel import DistributedDataParallel

from training.electra.model import Electra, Layer
from training.electra.optimizer import ElectraAdam, clip_gradients, clip_parts
from training.errors import UserError
from training.pretrain.config import PretrainConfig
from training.pretrain.place import Place
from training.pretrain.shared_copies import SharedCopies, share

# Two sizes of layer, rows of one document or of several, bfloat16 or float32 coming in, phases.
_GRAPHS = 64


def shard(joint: nn.Module, model: Electra, config: PretrainConfig, place: Place) -> None:
    """Cut the parameters of ``joint`` over all processes, in place; ``model`` is the network inside it.

    To be called before the optimiser is made: the parameters become other objects.

    Raises:
        UserError: a phase whose rows cannot be shared out evenly, or ``compile``.
    """
    if config.compile:
        raise UserError("compile: shards are not compiled; set compile: false, or parallel: ddp")
    for phase in config.phases:
        # Every pass gathers parameters on all processes at once, so all must make as many passes.
        if phase.rows % place.world:
            raise UserError(
                f"phases: {phase.rows} rows cannot be shared out evenly over {place.world} processes; "
                "choose a multiple, or parallel: ddp"
            )
    mesh = init_device_mesh(place.device.type, (place.world,))
    for layer in [*model.generator.layers, *model.discriminator.layers]:
        fully_shard(layer, mesh=mesh)
    fully_shard(joint, mesh=mesh)


def replicate(joint: nn.Module, optimizer: ElectraAdam, config: PretrainConfig, place: Place) -> nn.Module:
    """``joint``, compiled if asked for, and as one of several copies where there are several processes."""
    if config.compile:
        compile_layers(joint)
    if place.world == 1:
        return joint
    return share(joint, optimizer, place) or DistributedDataParallel(joint)


def compile_layers(joint: nn.Module, backend: str = "inductor") -> None:
    """Compile the layers of both encoders in place: a few graphs a size serve all layers, so that it takes
    seconds where the whole network takes minutes.
    """
    torch._dynamo.config.recompile_limit = _GRAPHS
    # It would cut each layer so that gradients can be sent early; between layers they are sent anyway.
    torch._dynamo.config.optimize_ddp = False
    for module in joint.modules():
        if isinstance(module, Layer):
            module.compile(backend=backend, dynamic=False)


def is_sharded(wrapped: nn.Module) -> bool:
    """Whether parameters are shards, so that every process must take part whenever one is read."""
    return isinstance(wrapped, FSDPModule)


def loss_scale(wrapped: nn.Module, place: Place) -> int:
    """What the loss is to be multiplied by, so that gradients end as those of all processes together.

    DDP and FSDP average gradients over processes, shared copies add them up.
    """
    return 1 if isinstance(wrapped, SharedCopies) else place.world


@torch.no_grad()
def exchange_and_clip(wrapped: nn.Module, maximum: float) -> Tensor:
    """Finish the exchange of gradients and scale them to a joint norm of ``maximum``."""
    if isinstance(wrapped, SharedCopies):
        return clip_parts(wrapped.exchange(), maximum, distributed.group.WORLD)
    return clip_gradients(wrapped.parameters(), maximum)


def settle(wrapped: nn.Module) -> None:
    """Wait until every process has made its part of an update."""
    if isinstance(wrapped, SharedCopies):
        wrapped.settle()


def average_gradients(wrapped: nn.Module, last: bool) -> None:
    """Say whether the coming backward pass is the ``last`` of an update.

    Copies exchange gradients once an update. Shards do so at every pass: to keep whole gradients until the
    last one would take the memory that sharding is for.
    """
    if isinstance(wrapped, DistributedDataParallel):
        wrapped.require_backward_grad_sync = last


def release(wrapped: nn.Module) -> None:
    """Let go of what a forward pass without a backward pass has gathered: parameters are shards again."""
    if isinstance(wrapped, FSDPModule):
        wrapped.reshard()


def share_of(whole: Tensor, like: Tensor) -> Tensor:
    """What this process holds of ``whole``, which every process has, when it is spread as ``like`` is."""
    whole = whole.to(like.device)
    if not isinstance(like, DTensor):
        return whole
    # No source process: each cuts its own part out of what it has read, and nothing is sent.
    return distribute_tensor(whole, like.device_mesh, like.placements, src_data_rank=None)


@torch.no_grad()
def whole_tensors(tensors: Mapping[str, Tensor], keep: bool) -> dict[str, Tensor]:
    """The whole tensors by name, gathered ones on the CPU, where ``keep`` is true; elsewhere nothing.

    All processes must call this together; one tensor at a time is gathered.
    """
    found: dict[str, Tensor] = {}
    for name in sorted(tensors):
        tensor = tensors[name]
        if isinstance(tensor, DTensor):
            gathered = tensor.full_tensor()
            if keep:
                found[name] = gathered.cpu()
        elif keep:
            found[name] = tensor
    return found


@torch.no_grad()
def whole_model(model: Electra, keep: bool) -> Electra:
    """``model`` itself, or where it is sharded and ``keep`` is true, an unsharded model with its weights.

    All processes must call this together.
    """
    parameters = dict(model.named_parameters())
    if not any(isinstance(parameter, DTensor) for parameter in parameters.values()):
        return model
    gathered = whole_tensors(parameters, keep)
    if not keep:
        return model
    whole = Electra(model.config)
    for name, parameter in whole.named_parameters():
        parameter.copy_(gathered[name])
    return whole


def largest(place: Place, *values: int) -> list[int]:
    """For each value the largest that any process has; the same answer everywhere."""
    if place.world == 1:
        return list(values)
    # On the CPU: this asks other processes, not the device, which computes on meanwhile.
    tensor = torch.tensor(values)
    distributed.all_reduce(tensor, distributed.ReduceOp.MAX)
    return [int(value) for value in tensor]
