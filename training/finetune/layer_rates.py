"""Layer-wise learning-rate decay: the head learns fastest, the embeddings slowest.

With ``n`` layers, layer ``k`` counted from 0 at the bottom and decay ``d``:

- published (as the paper describes it): layer ``k`` gets ``lr * d**(n - k)``, embeddings ``lr * d**(n + 1)``;
- reference (the original code, whose depths are counted one too far): layer ``k`` gets
  ``lr * d**(n + 1 - k)``, embeddings ``lr * d**(n + 2)``. Its author confirms the slip, with which the
  published figures were made.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Literal

from torch import nn

Form = Literal["published", "reference"]

_LAYER = re.compile(r"^(?:electra\.)?encoder\.layer\.(\d+)\.")
_EMBEDDINGS = re.compile(r"^(?:electra\.)?(?:embeddings\.|embeddings_project\.)")
_HEAD = re.compile(r"^(?:classifier\.|discriminator_predictions\.)")
# Biases and layer norms are never decayed.
_NO_WEIGHT_DECAY = re.compile(r"(?:LayerNorm|layer_norm|bias)")


def depth_of(name: str, layers: int) -> int:
    """How many steps below the head a parameter stands: 0 head, 1 top layer, ``layers + 1`` embeddings.

    Raises:
        ValueError: the name belongs to no known part of an ELECTRA model, or to a layer too many.
    """
    if _HEAD.match(name):
        return 0
    if _EMBEDDINGS.match(name):
        return layers + 1
    match = _LAYER.match(name)
    if match is None:
        raise ValueError(
            f"parameter {name!r} belongs to no part of an ELECTRA model: no learning rate for it"
        )
    layer = int(match.group(1))
    if layer >= layers:
        raise ValueError(f"parameter {name!r} is of layer {layer}, but the model has {layers} layers")
    return layers - layer


def learning_rate_at(depth: int, base: float, decay: float, form: Form) -> float:
    """Learning rate ``depth`` steps below the head; see the module for the two forms."""
    if depth == 0:
        return base
    return base * decay ** (depth + (1 if form == "reference" else 0))


def parameter_groups(
    named_parameters: Iterable[tuple[str, nn.Parameter]],
    layers: int,
    *,
    learning_rate: float,
    layer_decay: float,
    form: Form = "published",
    weight_decay: float = 0.0,
) -> list[dict[str, object]]:
    """Optimiser groups in which every trainable parameter stands exactly once.

    Args:
        named_parameters: as ``model.named_parameters()`` gives them.
        layers: ``config.num_hidden_layers``.

    Raises:
        ValueError: a parameter of unknown place (see ``depth_of``), or none that can be trained.
    """
    groups: dict[tuple[int, bool], dict[str, object]] = {}
    for name, parameter in named_parameters:
        if not parameter.requires_grad:
            continue
        depth, decayed = depth_of(name, layers), not _NO_WEIGHT_DECAY.search(name)
        group = groups.setdefault(
            (depth, decayed),
            {
                "params": [],
                "names": [],
                "lr": learning_rate_at(depth, learning_rate, layer_decay, form),
                "weight_decay": weight_decay if decayed else 0.0,
            },
        )
        group["params"].append(parameter)  # type: ignore[attr-defined]
        group["names"].append(name)  # type: ignore[attr-defined]
    if not groups:
        raise ValueError("no parameter can be trained: all are frozen")
    return [groups[key] for key in sorted(groups)]
