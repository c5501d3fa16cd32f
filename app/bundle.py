"""The bundle: the one contract between training and the service.

A bundle is a directory ``models/<name>/<version>/`` that holds ``bundle.json``, ONNX graphs,
``tokenizer.json`` and a model card. Training writes it, the service reads it, and neither knows more of the
other than this module says.

Graphs and their tensors (``batch`` and ``tokens`` are dynamic):

- ``model`` of an ``encode`` bundle: ``input_ids, attention_mask, token_type_ids`` (int64 ``[batch, tokens]``)
  -> ``logits`` (float32 ``[batch, tokens]``, replaced-token logits) and ``hidden`` (float32 ``[batch, tokens,
  hidden]``, the layers named by ``pooling.layers``, averaged).
- ``generator`` of an ``encode`` bundle: the same three inputs and ``positions`` (int64 ``[positions]``,
  indices into the flattened ``[batch * tokens]`` grid) -> ``logits`` (float32 ``[positions, vocabulary]``).
- ``model`` of a ``classify`` bundle: the same three inputs -> ``logits`` (float32 ``[batch, labels]``).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

SCHEMA_VERSION: Literal[1] = 1
MANIFEST_NAME = "bundle.json"
TOKENIZER_NAME = "tokenizer.json"

Task = Literal["classify", "encode"]
ProblemType = Literal["single_label", "multi_label"]
Precision = Literal["fp32", "int8"]
# What can be measured: bf16 has no file of its own, it is fp32 as OpenVINO computes it on CPUs with AMX.
Measured = Literal["fp32", "int8", "bf16"]
GraphName = Literal["model", "generator"]
Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,63}$")]


class BundleError(Exception):
    """A bundle that cannot be served. The message is one line: file, what is wrong, and the cure."""

    def __init__(self, path: Path, problem: str, cure: str) -> None:
        self.path = path
        super().__init__(f"{path}: {problem}; {cure}")


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", protected_namespaces=())


class FileEntry(_Strict):
    """One file of the bundle, as ``sha256sum`` and ``wc -c`` would report it."""

    path: str
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    bytes: Annotated[int, Field(ge=0)]

    @model_validator(mode="after")
    def _stays_inside(self) -> FileEntry:
        if Path(self.path).is_absolute() or ".." in Path(self.path).parts:
            raise ValueError(f"path {self.path!r} leaves the bundle")
        return self


class Graph(_Strict):
    """One ONNX graph in the precisions offered; ``quality`` holds what each of them measured, and ``refused``
    which lost too much to be used, though its file is there.
    """

    inputs: list[str]
    outputs: list[str]
    files: dict[Precision, FileEntry]
    default_precision: Precision
    quality: dict[Measured, dict[str, float]] = {}
    # None, not an empty list: software that does not know the key still reads bundles without it.
    refused: list[Measured] | None = None

    def may_use(self, measured: Measured) -> bool:
        """Whether ``measured`` was not found to lose too much."""
        return measured not in (self.refused or [])

    @model_validator(mode="after")
    def _default_exists(self) -> Graph:
        if self.default_precision not in self.files:
            raise ValueError(f"default_precision {self.default_precision!r} has no file")
        return self


class SpecialTokens(_Strict):
    """Vocabulary ids of the special tokens."""

    pad: int
    unk: int
    cls: int
    sep: int
    mask: int


class Calibration(_Strict):
    """Replaced-token decision thresholds on ``sigmoid(logit / temperature)`` and what they were fitted on."""

    temperature: Annotated[float, Field(gt=0)] = 1.0
    thresholds: dict[Literal["balanced", "precise", "sensitive"], Annotated[float, Field(ge=0, le=1)]]
    fitted_on: str
    date: str


class Pooling(_Strict):
    """How sentence vectors are made. ``statistics`` is an .npz with ``mean [hidden]`` and ``whitening
    [hidden, k]``.
    """

    layers: list[int]
    pooling: Literal["mean", "max", "cls"] = "mean"
    method: Literal["kmeans", "centroid", "textrank", "lead", "scorer"] = "kmeans"
    statistics: FileEntry | None = None
    postprocess: Literal["none", "centre", "whiten"] = "none"


class Metric(_Strict):
    """One figure of the evaluation report."""

    data_set: str
    split: str
    n: int
    metric: str
    value: float
    std: float | None = None
    seeds: int = 1
    baseline: str | None = None
    baseline_value: float | None = None
    # Two-sided p of the paired test against the baseline on the same items, where one was done.
    baseline_p: Annotated[float, Field(ge=0, le=1)] | None = None


class Provenance(_Strict):
    """Where the weights come from."""

    recipe: str
    code_revision: str
    corpus_digest: str
    tokens_seen: int
    hardware: str
    licence: str
    date: str
    data: list[str] = []


class Manifest(_Strict):
    """``bundle.json``."""

    schema_version: Literal[1] = SCHEMA_VERSION
    name: Name
    version: Name
    task: Task
    problem_type: ProblemType | None = None
    labels: list[str] = []
    max_tokens: Annotated[int, Field(ge=8)]
    vocab_size: Annotated[int, Field(ge=6)]
    hidden_size: Annotated[int, Field(ge=1)]
    special_tokens: SpecialTokens
    graphs: dict[GraphName, Graph]
    tokenizer: FileEntry
    card: FileEntry | None = None
    calibration: Calibration | None = None
    pooling: Pooling | None = None
    # N-grams of tokens whose votes are in a classifier's logits beside the network's.
    ngram_terms: Annotated[int, Field(ge=1)] | None = None
    experimental: bool = False
    metrics: list[Metric] = []
    provenance: Provenance

    @model_validator(mode="after")
    def _task_fits(self) -> Manifest:
        if "model" not in self.graphs:
            raise ValueError("graphs.model is missing")
        if self.task == "classify":
            if len(self.labels) < 2 or len(set(self.labels)) != len(self.labels):
                raise ValueError("labels of a classify bundle must be two or more distinct names")
            if self.problem_type is None:
                raise ValueError("problem_type of a classify bundle is single_label or multi_label")
        elif self.calibration is None or self.pooling is None:
            raise ValueError("an encode bundle needs calibration and pooling")
        return self

    def files(self) -> list[FileEntry]:
        """Every file that the manifest vouches for."""
        entries = [entry for graph in self.graphs.values() for entry in graph.files.values()]
        entries.append(self.tokenizer)
        entries.extend(e for e in (self.card, self.pooling and self.pooling.statistics) if e)
        return entries


@dataclass(frozen=True)
class Bundle:
    """A manifest and the directory it stands in."""

    path: Path
    manifest: Manifest

    def graph_file(self, graph: GraphName = "model", precision: Precision | None = None) -> Path:
        """Path of a graph in ``precision`` (default: the one the manifest names).

        Raises:
            BundleError: the bundle has no such graph or precision.
        """
        entry = self.manifest.graphs.get(graph)
        if entry is None:
            raise BundleError(self.path, f"has no {graph} graph", "export it again with one")
        chosen = precision or entry.default_precision
        if chosen not in entry.files:
            offered = ", ".join(sorted(entry.files))
            raise BundleError(self.path, f"has no {chosen} {graph} graph", f"choose one of: {offered}")
        return self.path / entry.files[chosen].path

    @property
    def tokenizer_file(self) -> Path:
        return self.path / self.manifest.tokenizer.path


def version_key(version: str) -> list[tuple[int, int, str]]:
    """Sort key under which ``10`` follows ``9`` and ``1.10`` follows ``1.9``."""
    # Of ASCII alone: "²" is a digit to Python, and no number.
    parts = re.findall(r"[0-9]+|[^0-9]+", version)
    return [(0, int(part), "") if part[0] in "0123456789" else (1, 0, part) for part in parts]
