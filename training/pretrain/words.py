"""Whole words for masking: Chinese words by rjieba, English words by their ``##`` pieces."""

from __future__ import annotations

import numpy as np
from tokenizers import Tokenizer


class WordFinder:
    """Numbers the word that each token of a row belongs to."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        import rjieba

        self._cut = rjieba.cut
        size = tokenizer.get_vocab_size()
        tokens = [tokenizer.id_to_token(index) or "" for index in range(size)]
        self._continues = np.array([token.startswith("##") for token in tokens])
        self._hanzi = [token if len(token) == 1 and "\u4e00" <= token <= "\u9fff" else "" for token in tokens]
        self._is_hanzi = np.array([bool(token) for token in self._hanzi])

    def find(self, ids: np.ndarray, segments: np.ndarray) -> np.ndarray:
        """``[rows, tokens]`` ids and segments -> ``[rows, tokens]`` word numbers, rising from 0 in each
        row.
        """
        starts = ~self._continues[ids]
        hanzi = self._is_hanzi[ids] & (segments > 0)
        for row in range(len(ids)):
            edges = np.flatnonzero(np.diff(np.concatenate(([0], hanzi[row].view(np.int8), [0]))))
            for begin, end in edges.reshape(-1, 2).tolist():
                if end - begin < 2:
                    continue
                text = "".join(self._hanzi[index] for index in ids[row, begin:end].tolist())
                at = begin
                starts[row, begin:end] = False
                for word in self._cut(text):
                    starts[row, at] = True
                    at += len(word)
        starts[:, 0] = True
        return np.cumsum(starts, axis=1) - 1
