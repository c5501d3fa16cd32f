"""Sizes of networks that are there already, as keys of ``pretrain.model``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from transformers import ElectraConfig

from training.checkpoint_directory import read_checkpoint_values
from training.errors import UserError
from training.pretrain.warmstart import read_state

_SAME = (
    "embedding_size",
    "hidden_size",
    "num_hidden_layers",
    "num_attention_heads",
    "intermediate_size",
    "max_position_embeddings",
    "type_vocab_size",
    "layer_norm_eps",
)
_WORDS = "electra.embeddings.word_embeddings.weight"
# Of a row's largest value: two int8 copies of one table differ by a hundredth, tables trained apart by half.
_ROUNDING = 0.05


def model_sizes(directory: Path) -> dict[str, Any]:
    """Keys of ``ElectraConfig`` for the networks in ``directory/discriminator`` and ``directory/generator``.

    Where there is no generator, its size is left to the preset. Networks with word tables of their own get
    ``gdes``, which keeps both. What ``config.json`` does not say has
    Hugging Face's default.

    Raises:
        UserError: no ELECTRA checkpoint there.
    """
    ours = _values(directory / "discriminator")
    if ours["hidden_act"] != "gelu":
        raise UserError(
            f"{directory / 'discriminator'}: hidden_act is {ours['hidden_act']!r}; "
            "pretraining knows gelu only"
        )
    sizes = {key: ours[key] for key in _SAME}
    if (directory / "generator").is_dir():
        theirs = _values(directory / "generator")
        sizes["generator_fraction"] = theirs["hidden_size"] / ours["hidden_size"]
        sizes["generator_layers"] = theirs["num_hidden_layers"]
        sizes["embedding_sharing"] = "shared" if _one_table(directory) else "gdes"
    return sizes


def _values(directory: Path) -> dict[str, Any]:
    return ElectraConfig.from_dict(read_checkpoint_values(directory)).to_dict()


def _one_table(directory: Path) -> bool:
    """Whether both networks have the same word vectors, but for the rounding of int8."""
    ours, theirs = (read_state(directory / name).get(_WORDS) for name in ("discriminator", "generator"))
    if ours is None or theirs is None or ours.shape != theirs.shape:
        return True  # nothing to keep apart
    difference = (ours - theirs).abs().amax(1) / theirs.abs().amax(1).clamp(min=1e-12)
    return bool(difference.median() <= _ROUNDING)
