"""What the trained sentence scorer looks at: one pure function that training and serving share."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from app.tasks.sentence_scorer import SCALAR_FEATURES, feature_size
from app.tasks.summarize.lexical import lexical_similarity
from app.tasks.summarize.segments import Segment
from app.tasks.summarize.vectors import normalised

FloatArray = npt.NDArray[np.float32]

_UNITS_PER_WIDE = 3  # a Chinese character counts as three Latin letters when lengths are compared


def sentence_features(segments: Sequence[Segment], vectors: FloatArray) -> FloatArray:
    """Features of each sentence of one document, float32 ``[sentences, feature_size(dimension)]``.

    They are the sentence's vector, the document's (the normalised mean), their product, and the numbers that
    ``SCALAR_FEATURES`` names, all within about -1 to 1.

    Args:
        segments: the document's sentences.
        vectors: float32 ``[sentences, dimension]``, unit length (or zero).
    """
    count = len(segments)
    document = normalised(vectors.mean(axis=0, keepdims=True))
    lexical = lexical_similarity([segment.text for segment in segments])
    index = np.arange(count)
    units = np.array([len(s) * (_UNITS_PER_WIDE if s.wide else 1) for s in segments], np.float32)
    scalars: dict[str, npt.NDArray[np.floating] | float] = {
        "cosine": vectors @ document[0],
        "relative_position": index / max(1, count - 1),
        "inverse_position": 1 / (1 + index),
        "inverse_from_end": 1 / (count - index),
        "first": (index == 0).astype(np.float32),
        "last": (index == count - 1).astype(np.float32),
        "paragraph_start": np.array([segment.paragraph_start for segment in segments], np.float32),
        "length": np.log1p(units) / 6,
        "relative_length": np.minimum(units / units.mean(), 4) / 4,
        "lexical_centrality": lexical.centrality,
        "lead_overlap": lexical.lead,
        "wide": np.array([segment.wide for segment in segments], np.float32),
        "digits": np.array([any(map(str.isdigit, s.text)) for s in segments], np.float32),
        "document_length": float(np.log1p(count) / 6),
    }
    features = np.empty((count, feature_size(vectors.shape[1])), np.float32)
    dimension = vectors.shape[1]
    features[:, :dimension] = vectors
    features[:, dimension : 2 * dimension] = document
    np.multiply(vectors, document, out=features[:, 2 * dimension : 3 * dimension])
    for column, name in enumerate(SCALAR_FEATURES, start=3 * dimension):
        features[:, column] = scalars[name]
    return features
