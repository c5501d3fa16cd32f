"""Which settings of a run may change while it goes on, and what was fixed by the steps already made."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from training.errors import UserError
from training.pretrain.config import PretrainConfig

# How a run computes, reports and saves; the weights it ends with are as good (dropout may draw others).
_FREE = {
    "micro_rows", "numbers", "native_kernels", "compile", "cuda_graphs", "parallel", "log_every",
    "evaluate_every", "checkpoint_every", "checkpoint_minutes", "keep_last", "evaluation_rows",
}  # fmt: skip
# These had their effect before the first step.
_SPENT = ("warm_start", "word_initialization")
# Part of the run's identity, which is compared apart (``setup.identity``).
_IDENTITY = {"preset", "model", "seed"}


def changed_settings(config: PretrainConfig, before: Mapping[str, Any], step: int, where: str) -> list[str]:
    """Names of the settings that are others than ``before``, those of the checkpoint at ``step``.

    Later phases, learning rate and the like may change on the way. ``where`` names the checkpoint.

    Raises:
        UserError: a setting whose effect is past: of the start, of a phase already trained, or of a run that
            is finished, which would record settings that its weights were not trained with.
    """
    now = json.loads(json.dumps(asdict(config)))
    differing = [
        key for key in now if key in before and key not in _FREE | _IDENTITY and now[key] != before[key]
    ]
    for key in _SPENT:
        if key in differing:
            raise UserError(
                f"{where}: was started with {key} {before[key]!r}, not {now[key]!r}, which would have no "
                f"effect any more; choose another output directory, or restore the old {key}"
            )
    if "phases" in differing:
        if _trained(now["phases"], step) != _trained(before["phases"], step):
            raise UserError(
                f"{where}: has made {step} steps of other phases; choose another output directory, or let "
                "phases begin as they did and lengthen the last"
            )
        differing.remove("phases")
    if differing and step >= config.total_steps:
        raise UserError(
            f"{where}: is finished and was trained with another {', '.join(differing)}; choose another "
            f"output directory, or restore the old {differing[0]}"
        )
    return differing


def _trained(phases: Sequence[Mapping[str, Any]], step: int) -> list[tuple[Any, ...]]:
    """Steps made in each phase up to ``step``, and what its rows were."""
    found = []
    for phase in phases:
        made = min(step, phase["steps"])
        step -= made
        if made:
            found.append((made, phase["length"], phase["rows"], phase.get("mask_rate")))
    return found
