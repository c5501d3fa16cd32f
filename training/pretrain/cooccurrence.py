"""Word vectors and output bias counted from the corpus, for a run too short to learn them from noise.

The vectors are the classic count model: positive pointwise mutual information of words that stand near each
other, factorised (Levy, Goldberg and Dagan 2015, sections 3 and 4). A minute of counting gives what gradient
descent needs tens of millions of tokens for, since a rare word moves only when it is seen.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from scipy import sparse
from sklearn.utils.extmath import randomized_svd

from app.bundle import SpecialTokens
from training.electra.model import Electra
from training.pretrain.rows import RowSource

_TOKENS = 24_000_000  # of text to count: the vectors hardly change beyond
_WINDOW = 4  # tokens to each side
_CHUNK_ROWS = 8192
_SMOOTHING = 0.75  # power of the context's frequency (section 3.2 there)
_RAREST = 5  # a word seen less often keeps its random vector


@dataclass(frozen=True)
class Counts:
    """``words [vocabulary]`` occurrences, and ``pairs [vocabulary, vocabulary]``, symmetric and sparse."""

    words: np.ndarray
    pairs: sparse.csr_matrix


def count(
    source: RowSource,
    vocabulary: int,
    special: SpecialTokens,
    advance: Callable[[int], object] = lambda _: None,
) -> Counts:
    """Count words and pairs at most 4 tokens apart in the first rows of the stream, weighted as in training.

    ``advance`` is told the tokens of each chunk.
    """
    words = np.zeros(vocabulary, np.int64)
    pairs = sparse.csr_matrix((vocabulary, vocabulary), dtype=np.float32)
    rows = min(source.epoch_rows, -(-_TOKENS // source.length))
    specials = (special.pad, special.cls, special.sep, special.mask)
    for start in range(0, rows, _CHUNK_ROWS):
        ids, segments, _ = source.rows(start, min(_CHUNK_ROWS, rows - start))
        text = (segments > 0) & (ids >= 0) & ~np.isin(ids, specials)
        words += np.bincount(ids[text], minlength=vocabulary)
        for distance in range(1, _WINDOW + 1):
            near = (
                text[:, distance:] & text[:, :-distance] & (segments[:, distance:] == segments[:, :-distance])
            )
            one, other = ids[:, :-distance][near], ids[:, distance:][near]
            weight = np.full(len(one), 1 / distance, np.float32)
            pairs = pairs + sparse.coo_matrix((weight, (one, other)), pairs.shape).tocsr()
        advance(int(text.sum()))
    return Counts(words, (pairs + pairs.T).tocsr())


def word_vectors(counts: Counts, width: int, seed: int) -> np.ndarray:
    """``[vocabulary, width]`` float32 directions of mean square 1, all of one length; of rare words 0.

    Singular vectors go in without their values: a start whose few first directions are long trains slowly.
    """
    pairs = counts.pairs.tocoo()
    frequent = (counts.words[pairs.row] >= _RAREST) & (counts.words[pairs.col] >= _RAREST)
    row, col, value = pairs.row[frequent], pairs.col[frequent], pairs.data[frequent]
    seen = np.maximum(np.bincount(row, value, len(counts.words)), 1e-9)
    context = seen**_SMOOTHING
    information = np.log(value * context.sum() / (seen[row] * context[col]))
    positive = information > 0
    matrix = sparse.csr_matrix(
        (information[positive].astype(np.float32), (row[positive], col[positive])), counts.pairs.shape
    )
    vectors = randomized_svd(matrix, width, n_iter=3, random_state=seed)[0]
    # What all words share says nothing, and would make every two of them alike.
    vectors -= counts.words @ vectors / counts.words.sum()
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    known = (length > 0) & (counts.words >= _RAREST)[:, None]
    return np.asarray(vectors / np.where(known, length, np.inf) * width**0.5, np.float32)


@torch.no_grad()
def start_from_counts(model: Electra, counts: Counts, seed: int) -> None:
    """Put counted vectors into the word table (of ``initializer_range`` as all weights) and the logarithm of
    each word's frequency into the generator's output bias.
    """
    config = model.config
    table = model.generator_head.word_embeddings.weight
    vectors = torch.from_numpy(word_vectors(counts, config.embedding_size, seed))
    known = vectors.abs().sum(1) > 0
    table[known] = vectors[known] * config.initializer_range
    frequency = torch.from_numpy(counts.words + 1.0)
    model.generator_head.bias.copy_((frequency / frequency.sum()).log().float())
