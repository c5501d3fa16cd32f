"""What a directory of weights is, told without the seconds that importing torch takes."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, Literal

from app.bundle import MANIFEST_NAME, version_key
from training.errors import UserError

_WEIGHTS = ("model.safetensors", "model.safetensors.index.json", "pytorch_model.bin")
_TOKENIZERS = ("tokenizer.json", "vocab.txt")
_HUB_NAME = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")


def read_checkpoint_values(directory: Path) -> dict[str, Any]:
    """What ``config.json`` of an ELECTRA checkpoint holds.

    Raises:
        UserError: not a directory, no readable ``config.json`` there, or another kind of model.
    """
    if not directory.is_dir():
        raise UserError(f"{directory}: no such checkpoint directory; {_where_to_look(directory)}")
    file = directory / "config.json"
    try:
        values = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(f"{directory}: {_what_is_there(directory)}") from None
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise UserError(f"{file}: cannot be read ({error}); save the checkpoint again") from None
    if not isinstance(values, dict):
        raise UserError(f"{file}: is not a JSON object; save the checkpoint again")
    if values.get("model_type") != "electra":
        raise UserError(
            f"{file}: model_type is {values.get('model_type')!r}, not electra; give an ELECTRA checkpoint"
        )
    return values


def newest_bundle(directory: Path) -> Path | None:
    """``directory`` if it is a bundle, or the newest of the versions that it holds; else None."""
    if (directory / MANIFEST_NAME).is_file():
        return directory
    found = [manifest.parent for manifest in directory.glob(f"*/{MANIFEST_NAME}")]
    # As the service: what is being written is no version yet.
    versions = [version for version in found if not version.name.startswith(".")]
    return max(versions, key=lambda version: version_key(version.name)) if versions else None


def start_kind(directory: Path) -> Literal["bundle", "pretraining", "checkpoint"]:
    """What ``directory`` is, to start from: a bundle, both networks of a pretraining, or one checkpoint.

    Raises:
        UserError: nothing to start from.
    """
    if newest_bundle(directory) is not None:
        return "bundle"
    kind: Literal["pretraining", "checkpoint"] = "checkpoint"
    if (directory / "discriminator" / "config.json").is_file():
        directory, kind = directory / "discriminator", "pretraining"
    values = read_checkpoint_values(directory)
    if values.get("architectures") == ["ElectraForMaskedLM"]:
        raise UserError(f"{directory}: is a generator; give the discriminator that belongs to it")
    for files, what in ((_WEIGHTS, "weights"), (_TOKENIZERS, "tokenizer")):
        if not any((directory / file).is_file() for file in files):
            raise UserError(f"{directory}: has no {what} ({' or '.join(files)}); copy the whole checkpoint")
    return kind


def _where_to_look(directory: Path) -> str:
    if not _HUB_NAME.fullmatch(str(directory)) or directory.parent.is_dir() or directory.parts[0] == "models":
        return f"check the path (it is looked for in {Path.cwd()})"
    return (
        "check the path; names of the Hugging Face hub are not downloaded: run "
        f"`hf download {directory} --local-dir {directory.name}` and give {directory.name}"
    )


def _what_is_there(directory: Path) -> str:
    if (bundle := newest_bundle(directory)) is not None:
        return (
            f"is a bundle (ONNX); run `electra-train restore {bundle} --output DIR` and give "
            "DIR/discriminator (of a classifier: DIR/classifier)"
        )
    for inner in (directory / "discriminator", directory / "classifier"):
        if (inner / "config.json").is_file():
            return f"has no config.json; give {inner}"
    return "has no config.json; give a checkpoint in Hugging Face form"
