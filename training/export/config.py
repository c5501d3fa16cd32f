"""What an export is told: every key of the ``export`` part of a recipe, and of the command."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Literal

from training.config import FilePath
from training.tables.examples import Columns


@dataclass(frozen=True)
class ExportConfig:
    """From checkpoint directories to one bundle."""

    # Name of the bundle; see ``check_name``.
    name: str
    # Hugging Face directory: a classifier, or a discriminator (then the bundle is an encoder).
    checkpoint: FilePath
    # Hugging Face directory of the generator that trained beside the discriminator; suggestions need it.
    generator: FilePath | None = None
    # Where bundles live; the bundle is written to <models_dir>/<name>/<version>.
    models_dir: FilePath = "models"
    # Version directory; empty means one more than the largest integer there.
    version: str | None = None
    # Replace `version` where it exists; otherwise that is an error.
    replace: bool = False
    # Precisions to keep on disk. int8 is a quarter of the size of fp32; either may stand alone.
    precisions: list[Literal["fp32", "int8"]] = field(default_factory=lambda: ["fp32", "int8"])
    # How int8 finds the range of activations: for each batch (dynamic), once on text (static), or the better
    # of both.
    int8: Literal["dynamic", "static", "best"] = "dynamic"
    # Keep int8, and bf16 under OpenVINO, even when they lose more than the two limits below.
    allow_quality_loss: bool = False
    # Largest loss of accuracy (a fraction: 0.003 is 0.3 points) that int8 and bf16 may show against fp32.
    max_accuracy_loss: float = 0.003
    # Largest loss of area under the ROC curve of replaced-token detection.
    max_auroc_loss: float = 0.01
    # Hidden layers averaged into `hidden`: 0 is the embeddings' output, -1 the last layer. Encoder only.
    layers: list[int] = field(default_factory=lambda: [1, -1])
    # How sentence vectors are pooled from `hidden`. Encoder only.
    pooling: Literal["mean", "max", "cls"] = "mean"
    # What is done to sentence vectors with the statistics of `texts`. Encoder only.
    postprocess: Literal["none", "centre", "whiten"] = "centre"
    # Default method of /summarize. Encoder only.
    method: Literal["kmeans", "centroid", "textrank", "lead"] = "kmeans"
    # Files or folders of real text (.txt, .jsonl, also .xz) for parity, int8 ranges, statistics; empty: the
    # sample.
    texts: list[FilePath] = field(default_factory=list)
    # Labelled table on which a classifier's precisions are compared; empty: agreement with fp32 on `texts`.
    test_data: FilePath | None = None
    # Columns of `test_data`, where their headers do not say.
    columns: Columns = field(default_factory=Columns)
    # New names for labels as they stand in `test_data`, such as {"0": negative}.
    label_names: dict[str, str] = field(default_factory=dict)
    # Real errors (.jsonl: text, errors) on which an encoder's thresholds are fitted; empty: corrupted
    # `texts`.
    calibration_data: FilePath | None = None
    # At most this share of right characters may be flagged at the `precise` threshold; 0.001 of them is about
    # one sentence in 25.
    max_false_positive_rate: float = 0.001
    # Texts on which the graph is compared with the checkpoint; their lengths run from 1 token to the longest.
    parity_texts: int = 500
    # Largest difference of a logit between graph and checkpoint.
    parity_tolerance: float = 1e-4
    # Rows that each quality measurement uses at most.
    quality_rows: int = 4000
    # Seed of everything random in the export (corruption, sampling of texts).
    seed: int = 0
    # Threads of onnxruntime and torch; empty: the CPU quota.
    threads: int | None = None
    # Licence of the weights, as an SPDX name; empty: not stated, and the card says so.
    licence: str | None = None
    # Languages of the training text, as BCP 47 codes, for the model card; empty: it names none.
    languages: list[str] = field(default_factory=list)
    # What the model saw, for the model card: a line for each data set, "name: what for (licence)".
    # Empty: the tables of its fine-tuning, and in a recipe before them the sources of its pretraining.
    data: list[str] = field(default_factory=list)
    # Recipe that made the checkpoint.
    recipe: str = ""
    # Digest of the pretraining corpus.
    corpus_digest: str = ""
    # Tokens seen in pretraining.
    tokens_seen: int = 0
    # Machine that trained the checkpoint.
    hardware: str = ""
    # Mark the bundle as experimental: it is served, and said to be so. Of a classifier that means below its
    # bar, of an encoder that detection finds few of the errors.
    experimental: bool = False

    def __post_init__(self) -> None:
        check_name("name", self.name)
        if self.version is not None:
            check_name("version", self.version)
        if not self.precisions:
            raise ValueError("precisions is empty; name fp32, int8 or both")
        if not self.layers:
            raise ValueError("layers is empty; name at least one hidden layer, such as -1")
        if self.parity_texts < 1 or self.quality_rows < 1:
            raise ValueError("parity_texts and quality_rows must be at least 1")


def check_name(key: str, name: str) -> None:
    """Refuse what no directory of a bundle may be called.

    Raises:
        ValueError: naming ``key``, under which ``name`` stands.
    """
    if not re.fullmatch(r"[a-z0-9][a-z0-9._-]{0,63}", name):
        raise ValueError(
            f"{key} {name!r}: use lower-case letters, digits, '.', '-' and '_' only, at most 64, the first a "
            "letter or digit"
        )
