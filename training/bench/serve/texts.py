"""Texts with a known number of tokens, mixed of Chinese and English, the same ones in every run."""

from __future__ import annotations

import random
from collections.abc import Sequence

from app.bundle import Bundle
from app.tasks.model import load_encoder
from app.text.encoder import TextEncoder
from training.errors import UserError

SHORT_TOKENS = 64
MIX_TOKENS = 16, 384
_ASCII_SHARE = 0.3


def texts_of(bundle: Bundle, lengths: Sequence[int], seed: int = 0) -> list[str]:
    """One text for each of ``lengths``, which count tokens with the two special ones.

    Raises:
        UserError: the vocabulary has too few words of one token, or the model cannot take such a length.
    """
    limit = bundle.manifest.max_tokens
    if max(lengths) > limit:
        raise UserError(
            f"{bundle.path}: takes {limit} tokens, the benchmark sends {max(lengths)}; take another"
        )
    encoder = load_encoder(bundle)
    chance = random.Random(seed)
    latin, other = _single_token_words(encoder, chance)
    texts = [_text(length - 2, latin, other, chance) for length in lengths]
    for text, length in zip(texts, lengths, strict=True):
        if len(encoder.encode(text).ids) + 2 != length:
            raise UserError(f"{bundle.tokenizer_file}: words that are one token alone are not in a sentence")
    return texts


def mixed_lengths(count: int, seed: int = 0) -> list[int]:
    """``count`` lengths spread evenly over the mix's range, shuffled: any stretch of them is much alike."""
    low, high = MIX_TOKENS
    lengths = [low + round(index * (high - low) / max(1, count - 1)) for index in range(count)]
    random.Random(seed).shuffle(lengths)
    return lengths


def _single_token_words(encoder: TextEncoder, chance: random.Random) -> tuple[list[str], list[str]]:
    vocabulary = sorted(encoder.pieces)
    chance.shuffle(vocabulary)
    latin: list[str] = []
    other: list[str] = []
    for token in vocabulary:
        if token.startswith(("##", "[")) or not token.isalpha():
            continue
        words = latin if token.isascii() else other
        if len(words) < 500 and len(encoder.encode(f"{token} {token}").ids) == 2:
            words.append(token)
    if not latin and not other:
        raise UserError("the bundle's vocabulary has no word of one token to make texts of")
    return latin or other, other or latin


def _text(tokens: int, latin: list[str], other: list[str], chance: random.Random) -> str:
    words = [chance.choice(latin if chance.random() < _ASCII_SHARE else other) for _ in range(tokens)]
    parts: list[str] = []
    for before, word in zip(["", *words], words, strict=False):
        # A space where two words would run into one; Chinese needs none.
        alone = len(word) == 1 and not word.isascii() and len(before) <= 1 and not before.isascii()
        parts.append(word if alone or not before else f" {word}")
    return "".join(parts)
