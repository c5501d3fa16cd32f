"""A model as the tasks see it: what it is, how text becomes ids, and who runs them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from app.bundle import Bundle, BundleError
from app.scheduler.engine import Engine
from app.tasks.sentence_scorer import SentenceScorer, read_scorer
from app.text.encoder import TextEncoder

FloatArray = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class PoolingStatistics:
    """What centring and whitening of sentence vectors need, measured on a corpus at export.

    Attributes:
        mean: float32 ``[hidden]``.
        whitening: float32 ``[hidden, k]``.
        scorer: the trained sentence scorer, None where the bundle ships none.
    """

    mean: FloatArray
    whitening: FloatArray
    scorer: SentenceScorer | None = None


@dataclass(frozen=True, slots=True, eq=False)
class ServedModel:
    """Everything that a task needs to answer: one bundle, its tokenizer, and the engine that runs its graphs.

    ``statistics`` is None where the bundle ships none.
    """

    bundle: Bundle
    encoder: TextEncoder
    engine: Engine
    statistics: PoolingStatistics | None = None

    @property
    def name(self) -> str:
        return self.bundle.manifest.name

    @property
    def version(self) -> str:
        return self.bundle.manifest.version

    @property
    def has_generator(self) -> bool:
        """Whether the bundle can propose replacements."""
        return "generator" in self.bundle.manifest.graphs


def load_encoder(bundle: Bundle) -> TextEncoder:
    """The bundle's tokenizer.

    Raises:
        BundleError: the tokenizer cannot be read or does not fit the manifest.
    """
    manifest = bundle.manifest
    try:
        encoder = TextEncoder(bundle.tokenizer_file, manifest.special_tokens, manifest.max_tokens)
    except ValueError as error:
        problem = str(error).removeprefix(f"{bundle.tokenizer_file}: ")
        raise BundleError(bundle.tokenizer_file, *problem.rsplit("; ", 1)) from None
    if encoder.vocab_size > manifest.vocab_size:
        raise BundleError(
            bundle.tokenizer_file,
            f"has {encoder.vocab_size} entries, the graph takes ids below {manifest.vocab_size}",
            "export the bundle with the tokenizer it was trained with",
        )
    return encoder


def load_statistics(bundle: Bundle) -> PoolingStatistics | None:
    """The bundle's pooling statistics, or None where it ships none. No pickle is read.

    Raises:
        BundleError: the file is malformed or its shapes do not fit the manifest.
    """
    pooling = bundle.manifest.pooling
    if pooling is None:
        return None
    if pooling.statistics is None:
        if pooling.postprocess != "none" or pooling.method == "scorer":
            wanted = (
                "a scorer" if pooling.method == "scorer" else f"to {pooling.postprocess} sentence vectors"
            )
            raise BundleError(
                bundle.path, f"wants {wanted} but ships no statistics", "export it with statistics"
            )
        return None
    path = bundle.path / pooling.statistics.path
    hidden = bundle.manifest.hidden_size
    cure = "export the bundle again"
    try:
        with np.load(path, allow_pickle=False) as arrays:
            mean = np.asarray(arrays["mean"], np.float32)
            whitening = np.asarray(arrays["whitening"], np.float32)
            others = {name: arrays[name] for name in arrays.files if name not in ("mean", "whitening")}
    except (OSError, ValueError, KeyError) as error:
        raise BundleError(path, f"cannot be read as pooling statistics ({error})", cure) from None
    if mean.shape != (hidden,) or whitening.ndim != 2 or whitening.shape[0] != hidden:
        raise BundleError(
            path, f"holds mean {mean.shape} and whitening {whitening.shape} for hidden size {hidden}", cure
        )
    try:
        scorer = read_scorer(others, whitening.shape[1] if pooling.postprocess == "whiten" else hidden)
    except ValueError as error:
        raise BundleError(path, f"holds no usable sentence scorer ({error})", cure) from None
    return PoolingStatistics(mean, whitening, scorer)


def served_model(bundle: Bundle, engine: Engine) -> ServedModel:
    """Assemble a model from a verified bundle and a running engine.

    Raises:
        BundleError: the tokenizer or the statistics do not fit the manifest.
    """
    return ServedModel(bundle, load_encoder(bundle), engine, load_statistics(bundle))
