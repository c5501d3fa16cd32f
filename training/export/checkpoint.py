"""Checkpoints in Hugging Face form: what is in the directory, and whether it can become a bundle."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import torch
from safetensors import SafetensorError
from tokenizers import Tokenizer
from transformers import (
    ElectraForMaskedLM,
    ElectraForPreTraining,
    ElectraForSequenceClassification,
    ElectraForTokenClassification,
)

from training.checkpoint_directory import read_checkpoint_values
from training.electra.huggingface import quiet_hub
from training.errors import UserError
from training.ngrams.model import NgramClassifier, load_ngrams
from training.tokenizer import load_tokenizer

Kind = Literal["classifier", "discriminator", "generator"]
_ARCHITECTURES: dict[str, tuple[Kind, Any]] = {
    "ElectraForSequenceClassification": ("classifier", ElectraForSequenceClassification),
    "ElectraForPreTraining": ("discriminator", ElectraForPreTraining),
    "ElectraForTokenClassification": ("discriminator", ElectraForTokenClassification),
    "ElectraForMaskedLM": ("generator", ElectraForMaskedLM),
}
# What an error detector's labels are called, in lower case: tables write 0 and 1, c and i; taggers O and ERR.
_RIGHT_NAMES = {"original", "right", "correct", "ok", "0", "c", "o", "label_0"}
_REPLACED_NAMES = {"replaced", "wrong", "incorrect", "error", "err", "b-err", "1", "i", "label_1"}
_VOCABULARY_PADDING = 128  # embedding tables are padded to multiples of up to this many rows


@dataclass(frozen=True)
class Checkpoint:
    """A loaded checkpoint. ``model`` is in evaluation mode, float32, with eager attention."""

    path: Path
    kind: Kind
    model: Any
    # What votes beside a classifier's network, or None.
    ngrams: NgramClassifier | None = None

    @property
    def vocab_size(self) -> int:
        return int(self.model.config.vocab_size)

    @property
    def max_tokens(self) -> int:
        return int(self.model.config.max_position_embeddings)

    @property
    def labels(self) -> list[str]:
        names = self.model.config.id2label
        return [str(names[index]) for index in range(len(names))]

    @property
    def problem_type(self) -> Literal["single_label", "multi_label"]:
        multi = self.model.config.problem_type == "multi_label_classification"
        return "multi_label" if multi else "single_label"


def load_checkpoint(path: Path) -> Checkpoint:
    """Load an ELECTRA checkpoint; its kind follows from ``architectures`` in ``config.json``.

    Raises:
        UserError: not a checkpoint, not ELECTRA, a head that no bundle can hold, weights that are missing,
            of another shape, not finite, or stored as a pickle only.
    """
    config = read_checkpoint_values(path)
    architecture = (config.get("architectures") or ["none"])[0]
    if architecture not in _ARCHITECTURES:
        known = ", ".join(_ARCHITECTURES)
        raise UserError(
            f"{path / 'config.json'}: architectures names {architecture}; a bundle is made from {known}"
        )
    _require_safetensors(path)
    kind, model_class = _ARCHITECTURES[architecture]
    try:
        with quiet_hub():
            model, report = model_class.from_pretrained(
                path,
                local_files_only=True,
                use_safetensors=True,
                attn_implementation="eager",
                dtype=torch.float32,
                output_loading_info=True,
            )
    except (OSError, RuntimeError, ValueError, KeyError, SafetensorError) as error:
        reason = str(error).strip().splitlines()[0]
        raise UserError(
            f"{path}: the weights are damaged or do not fit config.json ({reason}); copy the checkpoint again"
        ) from None
    missing = sorted(set(report["missing_keys"]))
    if missing:
        raise UserError(
            f"{path}: {len(missing)} weights of {architecture} are not in the file, first {missing[0]}; "
            "export a checkpoint that was trained with this head"
        )
    broken = [name for name, value in model.named_parameters() if not torch.isfinite(value).all()]
    if broken:
        raise UserError(
            f"{path}: weight {broken[0]} is not finite; take a checkpoint from before training diverged"
        )
    checkpoint = Checkpoint(path, kind, model.eval())
    _check_labels(checkpoint, architecture)
    if architecture == "ElectraForTokenClassification":
        _put_replaced_last(checkpoint)
    if kind == "classifier":
        return replace(checkpoint, ngrams=load_ngrams(path, len(checkpoint.labels)))
    return checkpoint


def load_matching_tokenizer(checkpoint: Checkpoint) -> Tokenizer:
    """The checkpoint's tokenizer, checked to be of the size that the weights were trained with.

    Raises:
        UserError: no tokenizer, or one of another size. (A tokenizer can silently shrink to its five
            special tokens when it is built from the wrong file.)
    """
    tokenizer = load_tokenizer(checkpoint.path)
    size, expected = tokenizer.get_vocab_size(with_added_tokens=True), checkpoint.vocab_size
    padded = -(-size // _VOCABULARY_PADDING) * _VOCABULARY_PADDING
    if not size <= expected <= padded:
        raise UserError(
            f"{checkpoint.path}: the tokenizer has {size} tokens, config.json says {expected}; "
            "copy the tokenizer that this checkpoint was trained with"
        )
    return tokenizer


def require_same_vocabulary(discriminator: Checkpoint, generator: Checkpoint, tokenizer: Tokenizer) -> None:
    """Refuse a generator whose ids mean other tokens than the discriminator's.

    Raises:
        UserError: the vocabularies differ, or the generator takes shorter input.
    """
    where = f"{generator.path}: the generator"
    if generator.vocab_size != discriminator.vocab_size:
        raise UserError(
            f"{where} has {generator.vocab_size} tokens, the discriminator {discriminator.vocab_size}; "
            "export the two that were trained together"
        )
    own_files = [generator.path / "tokenizer.json", generator.path / "vocab.txt"]
    if (
        any(file.is_file() for file in own_files)
        and load_tokenizer(generator.path).get_vocab() != tokenizer.get_vocab()
    ):
        raise UserError(
            f"{where} has another vocabulary than {discriminator.path}; export the two that belong together"
        )
    if generator.max_tokens < discriminator.max_tokens:
        raise UserError(
            f"{where} takes {generator.max_tokens} tokens, the discriminator {discriminator.max_tokens}; "
            "export the two that were trained together"
        )


def _require_safetensors(path: Path) -> None:
    if (path / "model.safetensors").is_file() or (path / "model.safetensors.index.json").is_file():
        return
    if (path / "pytorch_model.bin").is_file():
        raise UserError(
            f"{path}: has only pytorch_model.bin, a pickle, which is not opened here; load it where you "
            "trust it and save it again with save_pretrained, which writes model.safetensors"
        )
    raise UserError(f"{path / 'model.safetensors'}: is missing; copy the whole checkpoint")


def _check_labels(checkpoint: Checkpoint, architecture: str) -> None:
    where = f"{checkpoint.path / 'config.json'}"
    labels = checkpoint.labels
    if architecture == "ElectraForTokenClassification" and len(labels) != 2:
        raise UserError(
            f"{where}: a token classifier with {len(labels)} labels is no error detector; "
            "one with two labels (original, replaced) can be exported as an encoder"
        )
    if checkpoint.kind != "classifier":
        return
    if len(labels) < 2:
        raise UserError(
            f"{where}: num_labels is {len(labels)} (a regression head); a classifier needs two labels or more"
        )
    repeated = sorted({label for label in labels if labels.count(label) > 1})
    if repeated:
        raise UserError(
            f"{where}: label {repeated[0]!r} stands twice in id2label; give every label its own name"
        )


def _put_replaced_last(checkpoint: Checkpoint) -> None:
    """Order the two labels of an error detector by their names: its logit is the second's over the first's.

    Fine-tuning sorts labels, so that ERR comes before O.

    Raises:
        UserError: names that do not say which of them means replaced.
    """
    first, last = (label.lower() for label in checkpoint.labels)
    if first in _RIGHT_NAMES and last in _REPLACED_NAMES:
        return
    if first not in _REPLACED_NAMES or last not in _RIGHT_NAMES:
        raise UserError(
            f"{checkpoint.path / 'config.json'}: labels {' and '.join(checkpoint.labels)} do not say which "
            "means replaced; rename them original and replaced in id2label, and in label2id"
        )
    head, config = checkpoint.model.classifier, checkpoint.model.config
    with torch.no_grad():
        head.weight.copy_(head.weight.flip(0))
        head.bias.copy_(head.bias.flip(0))
    config.id2label = dict(enumerate(reversed(checkpoint.labels)))
    config.label2id = {label: at for at, label in config.id2label.items()}
