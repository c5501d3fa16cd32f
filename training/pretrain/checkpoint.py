"""Checkpoints: whole or not there, verified when read, kept by policy.

``checkpoints/step-00001000/`` holds ``tensors.safetensors`` (weights, both Adam moments, random state) and
``state.json`` (step, data position, group state, the digest of the tensors). It appears under its name only
when it is complete. ``best.json`` names the step with the lowest held-out loss, which is never deleted.
"""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from app.bundle_files import sha256_of
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
    """Write ``directory/step-<step>`` atomically."""
    path = directory / _name(step)
    groups = {"weights": weights, "moments": moments, "random": random}
    tensors = {
        f"{group}/{name}": t.detach().cpu().contiguous()
        for group, part in groups.items()
        for name, t in part.items()
    }
    with atomic_directory(path) as temporary:
        save_file(tensors, temporary / TENSORS)
        digest = sha256_of(temporary / TENSORS)
        with atomic_file(temporary / STATE, "w", encoding="utf-8") as stream:
            json.dump(state | {"step": step, "sha256": digest}, stream, indent=1)
    return path


def _name(step: int) -> str:
    return f"step-{step:08d}"


def model_tensors(model: nn.Module) -> dict[str, Tensor]:
    """Every parameter once, by its first name: tied tables are stored once."""
    return dict(model.named_parameters())


def optimizer_tensors(model: nn.Module, optimizer: ElectraAdam) -> dict[str, Tensor]:
    """Both Adam moments by parameter name."""
    names: dict[Tensor, str] = {parameter: name for name, parameter in model.named_parameters()}
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


def latest_good(directory: Path) -> Checkpoint | None:
    """The newest checkpoint that is whole; damaged ones are reported and passed over. None if there is none.

    Raises:
        UserError: all are damaged. To begin again is the user's choice.
    """
    found = list_checkpoints(directory)
    for path in reversed(found):
        try:
            return read_checkpoint(path)
        except UserError as error:
            print(f"warning: {error}; going back to the one before")
    if found:
        raise UserError(
            f"{directory}: none of its {len(found)} checkpoint(s) can be read; copy one back from elsewhere, "
            "or delete the directory to begin again"
        )
    return None


def set_aside_after(directory: Path, step: int) -> list[Path]:
    """Rename the checkpoints of later steps than ``step``, from which a run goes on: damaged ones that were
    passed over. They would count among the last, and push good ones out.

    Returns:
        Where they are now.
    """
    moved = []
    for path in list_checkpoints(directory):
        if path.name > _name(step):
            target = path.with_name(f"damaged-{path.name}")
            shutil.rmtree(target, ignore_errors=True)
            moved.append(path.rename(target))
    return moved


@dataclass(frozen=True)
class Best:
    """The checkpoint with the lowest held-out ``loss`` of its phase: losses of other row lengths and mask
    rates do not compare.
    """

    step: int
    loss: float
    phase: int

    def is_better_than(self, other: Best | None) -> bool:
        """Lower, or the first of its phase; a loss that is not a number never is."""
        return not math.isnan(self.loss) and (
            other is None or other.phase != self.phase or self.loss < other.loss
        )


def mark_best(directory: Path, best: Best) -> None:
    """Record the best checkpoint so far."""
    with atomic_file(directory / "best.json", "w", encoding="utf-8") as stream:
        json.dump(asdict(best), stream)


def marked_best(directory: Path) -> Best | None:
    """The best checkpoint, if one is marked and still there."""
    try:
        values = json.loads((directory / "best.json").read_text(encoding="utf-8"))
        best = Best(int(values["step"]), float(values["loss"]), int(values.get("phase", 0)))
    except (OSError, ValueError, KeyError):
        return None
    return best if (directory / _name(best.step) / STATE).is_file() else None


def prune(directory: Path, keep_last: int) -> None:
    """Delete all but the last ``keep_last`` checkpoints and the best one, and what a killed run left
    behind.
    """
    best = marked_best(directory)
    protected = {_name(best.step)} if best else set()
    for path in list_checkpoints(directory)[:-keep_last]:
        if path.name not in protected:
            shutil.rmtree(path, ignore_errors=True)
    for path in [*directory.glob(".step-*.tmp"), *directory.glob(".step-*.old")]:
        shutil.rmtree(path, ignore_errors=True)
