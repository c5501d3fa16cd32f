"""Checkpoints: whole or not there, verified when read, kept by policy.

``checkpoints/step-00001000/`` holds ``tensors.safetensors`` (weights, both Adam moments, random state) and
``state.json`` (step, data position, group state, the digest of the tensors). It appears under its name only
when it is complete. ``best.json`` names the step with the lowest held-out loss, which is never deleted.
"""

from __future__ import annotations

import errno
import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from app.bundle import sha256_of
from training.electra.optimizer import ElectraAdam
from training.errors import UserError
from training.files import atomic_directory, atomic_file
from training.pretrain.parallel import share_of

TENSORS, STATE = "tensors.safetensors", "state.json"


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint read back: tensors by name and the JSON state."""

    path: Path
    tensors: dict[str, Tensor]
    state: dict[str, Any]

    @property
    def step(self) -> int:
        return int(self.state["step"])


def save_checkpoint(
    directory: Path,
    step: int,
    weights: Mapping[str, Tensor],
    moments: Mapping[str, Tensor],
    random: Mapping[str, Tensor],
    state: dict[str, Any],
) -> Path:
    """Write ``directory/step-<step>`` atomically.

    Raises:
        UserError: the disk is full; nothing half-written is left.
    """
    path = directory / f"step-{step:08d}"
    groups = {"weights": weights, "moments": moments, "random": random}
    tensors = {
        f"{group}/{name}": t.detach().cpu().contiguous()
        for group, part in groups.items()
        for name, t in part.items()
    }
    try:
        with atomic_directory(path) as temporary:
            save_file(tensors, temporary / TENSORS)
            digest = sha256_of(temporary / TENSORS)
            with atomic_file(temporary / STATE, "w", encoding="utf-8") as stream:
                json.dump(state | {"step": step, "sha256": digest}, stream, indent=1)
    except (OSError, RuntimeError) as error:
        if getattr(error, "errno", None) == errno.ENOSPC or "No space left" in str(error):
            raise UserError(
                f"{path}: the disk is full; free some space and run again: it goes on from the "
                "last good checkpoint"
            ) from None
        raise
    return path


def model_tensors(model: nn.Module) -> dict[str, Tensor]:
    """Every parameter once, by its first name: tied tables are stored once."""
    return dict(model.named_parameters())


def optimizer_tensors(model: nn.Module, optimizer: ElectraAdam) -> dict[str, Tensor]:
    """Both Adam moments by parameter name."""
    names = {parameter: name for name, parameter in model.named_parameters()}
    return {
        f"{names[parameter]}:{kind}": moment
        for parameter, state in optimizer.state.items()
        for kind, moment in state.items()
    }


def restore(checkpoint: Checkpoint, model: nn.Module, optimizer: ElectraAdam | None) -> None:
    """Put weights and moments back, of a sharded model the shards of this process.

    Raises:
        UserError: the checkpoint is of a model of another shape.
    """
    parameters = dict(model.named_parameters())
    stored = {
        n.removeprefix("weights/"): t for n, t in checkpoint.tensors.items() if n.startswith("weights/")
    }
    for name, parameter in parameters.items():
        if name not in stored or stored[name].shape != parameter.shape:
            raise UserError(
                f"{checkpoint.path}: {name} does not fit this model; the sizes in the recipe changed: "
                "choose another output directory or restore the old sizes"
            )
    with torch.no_grad():
        for name, parameter in parameters.items():
            parameter.copy_(share_of(stored[name], parameter))
            if optimizer is None:
                continue
            for kind in ("first", "second"):
                moment = checkpoint.tensors.get(f"moments/{name}:{kind}")
                if moment is not None:
                    optimizer.state[parameter][kind] = share_of(moment, parameter).clone()
    if optimizer is not None:
        for group, count in zip(optimizer.param_groups, checkpoint.state["group_steps"], strict=True):
            group["step"] = count


def list_checkpoints(directory: Path) -> list[Path]:
    """Complete checkpoint directories, oldest first."""
    return sorted(path for path in directory.glob("step-*") if (path / STATE).is_file())


def read_checkpoint(path: Path) -> Checkpoint:
    """Read and verify one checkpoint.

    Raises:
        UserError: truncated, changed or unreadable.
    """
    try:
        state = json.loads((path / STATE).read_text(encoding="utf-8"))
        if sha256_of(path / TENSORS) != state["sha256"]:
            raise UserError(f"{path / TENSORS}: damaged (its checksum differs); delete {path}")
        return Checkpoint(path, load_file(path / TENSORS), state)
    except UserError:
        raise
    except Exception as error:
        raise UserError(f"{path}: cannot be read ({error}); delete it") from None


def latest_good(directory: Path, report: Any = print) -> Checkpoint | None:
    """The newest checkpoint that is whole; damaged ones are reported and passed over."""
    for path in reversed(list_checkpoints(directory)):
        try:
            return read_checkpoint(path)
        except UserError as error:
            report(f"warning: {error}; going back to the one before")
    return None


def mark_best(directory: Path, step: int, loss: float) -> None:
    """Record that ``step`` has the lowest held-out loss so far."""
    with atomic_file(directory / "best.json", "w", encoding="utf-8") as stream:
        json.dump({"step": step, "loss": loss}, stream)


def best_step(directory: Path) -> tuple[int, float] | None:
    """Step and held-out loss of the best checkpoint, if one is marked."""
    try:
        best = json.loads((directory / "best.json").read_text(encoding="utf-8"))
        return int(best["step"]), float(best["loss"])
    except (OSError, ValueError, KeyError):
        return None


def prune(directory: Path, keep_last: int) -> None:
    """Delete all but the last ``keep_last`` checkpoints and the best one, and what a killed run left
    behind.
    """
    best = best_step(directory)
    protected = {f"step-{best[0]:08d}"} if best else set()
    for path in list_checkpoints(directory)[:-keep_last]:
        if path.name not in protected:
            shutil.rmtree(path, ignore_errors=True)
    for path in [*directory.glob(".step-*.tmp"), *directory.glob(".step-*.old")]:
        shutil.rmtree(path, ignore_errors=True)
