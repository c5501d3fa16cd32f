"""The service reads ``tokenizer.json`` without transformers: it must see the ids that training saw."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from transformers import AutoTokenizer

from app.text.encoder import TextEncoder
from training.electra.huggingface import quiet_hub
from training.errors import UserError

_DOCUMENTS = 200
_CHARACTERS = 400


def require_same_ids(
    checkpoint: Path, vocab_size: int, encoder: TextEncoder, documents: Sequence[str]
) -> bool:
    """Compare ``encoder`` with what transformers reads from ``checkpoint``, on ``documents``' beginnings.

    Returns False where transformers cannot read the directory, or reads a vocabulary of another size from
    it (from a lone ``vocab.txt`` some versions build one of five tokens): then there is nothing to compare.

    Raises:
        UserError: the same text gives other ids.
    """
    try:
        with quiet_hub():
            theirs = AutoTokenizer.from_pretrained(checkpoint, local_files_only=True)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, ImportError):
        return False
    if not encoder.vocab_size <= len(theirs) <= vocab_size:
        return False
    for document in documents[:_DOCUMENTS]:
        text = document[:_CHARACTERS]
        if any(token in text for token in theirs.all_special_tokens):
            continue  # transformers reads special tokens out of text, the service never does
        expected = theirs(text, add_special_tokens=False)["input_ids"]
        found = encoder.encode(text).ids.tolist()
        if expected != found:
            at = next(
                (i for i, pair in enumerate(zip(expected, found, strict=False)) if pair[0] != pair[1]), 0
            )
            raise UserError(
                f"{checkpoint}: its tokenizer files disagree: {text[:30]!r} becomes {expected[at : at + 4]} "
                f"in transformers and {found[at : at + 4]} from tokenizer.json (token {at}); save the "
                "tokenizer again with save_pretrained"
            )
    return True
