"""Start from somebody's weights: any BERT or ELECTRA directory, with the same vocabulary or a new one."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from tokenizers import Tokenizer
from torch import Tensor

from training.electra.huggingface import load_discriminator, load_generator
from training.electra.model import DifferenceEmbeddings, Electra
from training.errors import UserError
from training.tokenizer import load_tokenizer

# Beside the directories of both networks; what a run writes about itself.
RECORD = "pretrain.json"


def warm_start(model: Electra, tokenizer: Tokenizer, path: Path) -> list[str]:
    """Fill ``model`` from ``path``: a discriminator or BERT directory, or one that holds ``discriminator/``
    and ``generator/``.

    Word embeddings are copied token by token, so a new vocabulary keeps the vectors of the tokens it shares;
    a token of the new vocabulary that the old one writes in several pieces starts from their mean.

    Returns:
        Names of tensors that found no counterpart and keep their fresh values.
    """
    both = (path / "discriminator").is_dir()
    main = path / "discriminator" if both else path
    state = read_state(main)
    skipped = load_discriminator(model, state)
    table = model.generator_head.word_embeddings.weight  # one with the word table below it
    other = model.discriminator.embeddings
    words = _words(tokenizer, state, main, table)
    generator = path / "generator"
    with torch.no_grad():
        if words is not None:
            table.copy_(words)
        if both and generator.is_dir():
            theirs = read_state(generator)
            skipped += load_generator(model, theirs)
            if (own := _words(tokenizer, theirs, generator, table)) is not None:
                table.copy_(own)
        else:
            skipped.append("generator")
        if words is not None:
            if isinstance(other, DifferenceEmbeddings):
                other.difference.weight.copy_(words - table)
            elif other is not model.generator.embeddings:
                other.word_embeddings.weight.copy_(words)
            skipped = [name for name in skipped if name != "embeddings.word_embeddings"]
    if any(name.startswith("encoder.layer.0.") for name in skipped):
        raise UserError(
            f"{path}: its layers do not fit this model; set model.hidden_size and the rest to "
            "the checkpoint's"
        )
    return skipped


def read_state(directory: Path) -> dict[str, Tensor]:
    """The state dict of a Hugging Face directory; pickled weights are read as tensors only.

    Raises:
        UserError: no directory, no weights in it, or weights that cannot be read.
    """
    if not directory.is_dir():
        raise UserError(f"{directory}: no such directory; warm_start names a local checkpoint directory")
    files = sorted(directory.glob("*.safetensors")) or sorted(directory.glob("pytorch_model.bin"))
    if not files:
        raise UserError(f"{directory}: no model.safetensors and no pytorch_model.bin; copy the weights there")
    state: dict[str, Tensor] = {}
    for file in files:
        try:
            pickled = file.suffix == ".bin"
            state |= torch.load(file, map_location="cpu", weights_only=True) if pickled else load_file(file)
        except Exception as error:  # the bytes of a damaged pickle end in any kind of error
            reason = str(error).strip().partition("\n")[0] or type(error).__name__
            raise UserError(f"{file}: cannot be read ({reason}); copy the weights again") from None
    return state


def weights_digest(path: Path) -> str | None:
    """SHA-256 of the weights in ``path`` and of both networks in it; None where there are none (any more)."""
    folders = (path, path / "discriminator", path / "generator")
    files = [
        file
        for folder in folders
        for kind in ("*.safetensors", "pytorch_model.bin")
        for file in sorted(folder.glob(kind))
    ]
    digest = hashlib.sha256()
    for file in files:
        with file.open("rb") as stream:
            digest.update(hashlib.file_digest(stream, "sha256").digest())
    return digest.hexdigest() if files else None


def record_of(path: Path) -> dict[str, Any]:
    """What had gone into the weights in ``path``, where they are of an earlier run of ours: tokens_seen,
    matmul_flops (None where they came out of a bundle, which does not say), hardware (a list), and licence,
    data and text where they are known; else nothing.
    """
    for directory in (path, path.parent):
        try:
            record = json.loads((directory / RECORD).read_text(encoding="utf-8"))
            return {
                "tokens_seen": int(record["tokens_seen"]),
                "matmul_flops": record.get("matmul_flops"),
                "hardware": str(record["hardware"]).split(", then "),
                # Terms of weights that came in a bundle, and what a pretraining read.
                **{key: record[key] for key in ("licence", "data", "text") if key in record},
            }
        except (OSError, ValueError, KeyError, TypeError):
            continue
    return {}


def _words(tokenizer: Tokenizer, state: dict[str, Tensor], directory: Path, fresh: Tensor) -> Tensor | None:
    """``[vocabulary, embedding]`` vectors of ``state`` for the tokens of ``tokenizer``; where it has none,
    those of ``fresh``. None if its vectors are of another width.
    """
    words = fresh.detach().clone()
    table = next(
        (tensor for name, tensor in state.items() if name.endswith("embeddings.word_embeddings.weight")), None
    )
    if table is None or table.shape[1] != words.shape[1]:
        return None
    old = load_tokenizer(directory)
    known = old.get_vocab()
    if max(known.values()) >= len(table):
        raise UserError(
            f"{directory}: the tokenizer has {max(known.values()) + 1} tokens, the word table {len(table)} "
            "rows; copy the tokenizer that it was trained with"
        )
    for token, index in tokenizer.get_vocab().items():
        if token in known:
            words[index] = table[known[token]]
        elif pieces := old.encode(token.removeprefix("##"), add_special_tokens=False).ids:
            words[index] = table[torch.tensor(pieces)].mean(0)
    return words
