"""What an evaluation is told: every key of the ``evaluate`` part of a recipe, and of the commands."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from training.config import FilePath
from training.errors import UserError
from training.tables import Columns

ENCODER_KEYS = ("heldout", "errors", "clean", "summaries")
CLASSIFIER_KEYS = ("test", "train")


@dataclass(frozen=True)
class EvaluateConfig:
    """Data to judge a bundle by. What does not fit the bundle's task is refused, not ignored."""

    # Labelled table that a classifier is judged on, or several: on all rows together, and shown for each.
    test: FilePath | list[FilePath] | None = None
    # Labelled tables that the classifier was trained on: the baselines are fitted on the same rows.
    train: list[FilePath] = field(default_factory=list)
    # Train rows that also stand in test: warn of them, or leave them out.
    overlap: Literal["warn", "drop"] = "warn"
    # Column names of these tables; found by header where not named.
    columns: Columns = field(default_factory=Columns)
    # New names for labels as they stand in the tables, such as {"0": negative}.
    label_names: dict[str, str] = field(default_factory=dict)
    # Rows of each test table used at most (0: all), the first ones.
    rows: int = 0
    # Accuracy, a share of 1, that a classifier must reach, beside beating TF-IDF + logistic regression.
    floor: float | None = None
    # Held-out running text (.txt, .jsonl, also .xz): corrupted to judge replaced-token detection.
    heldout: list[FilePath] = field(default_factory=list)
    # Sentences of it that are corrupted.
    heldout_sentences: int = 1000
    # Real errors (.jsonl: text or tokens, and errors).
    errors: list[FilePath] = field(default_factory=list)
    # Text without errors, same form or .txt: every flag is a false one.
    clean: list[FilePath] = field(default_factory=list)
    # Rows of each error or clean file used at most (0: all).
    error_rows: int = 0
    # Summarization sets (.jsonl: document, summary).
    summaries: list[FilePath] = field(default_factory=list)
    # Documents of each set used at most (0: all).
    summary_documents: int = 500
    # Sentences per summary; empty: the mean number of sentences of the set's reference summaries.
    num_sentences: int | None = None
    # Poolings tried with each method of summarization.
    poolings: list[Literal["mean", "max", "cls"]] = field(default_factory=lambda: ["mean", "max", "cls"])
    # Precision to judge; empty: the bundle's default.
    precision: Literal["fp32", "int8"] | None = None
    # Resamplings of a bootstrap interval.
    resamplings: int = 1000
    # Texts whose latency is measured one by one.
    latency_texts: int = 100
    # Directory of report.md, report.json and plots; empty: reports/<name>-<version>.
    output: FilePath | None = None
    # Write the figures into bundle.json and its model card, and mark a bundle experimental that does not
    # clear its bar. `electra-train run` does so unless a recipe says false.
    record: bool = False
    # Seed of everything random.
    seed: int = 0
    # Threads of onnxruntime; empty: the CPU quota.
    threads: int | None = None

    @property
    def test_tables(self) -> list[str]:
        """``test`` as a list, empty where there is none."""
        return [self.test] if isinstance(self.test, str) else list(self.test or ())

    @property
    def has_data(self) -> bool:
        """Whether it names anything that a bundle could be judged by."""
        return any(getattr(self, key) for key in (*ENCODER_KEYS, *CLASSIFIER_KEYS))

    def __post_init__(self) -> None:
        if self.resamplings < 100:
            raise ValueError("resamplings must be 100 or more for an interval to mean something")
        if self.floor is not None and not 0 <= self.floor <= 1:
            raise ValueError(f"floor is a share between 0 and 1, such as 0.9, not {self.floor:g}")
        if self.num_sentences is not None and self.num_sentences < 1:
            raise ValueError("num_sentences must be at least 1")
        if self.latency_texts < 1:
            raise ValueError("latency_texts must be at least 1")
        if not self.poolings:
            raise ValueError("poolings is empty; name mean, max or cls")


def check_data(config: EvaluateConfig, name: str, *, classifier: bool) -> None:
    """Check that the data of ``config`` is of a kind that the bundle ``name`` can be judged by.

    Raises:
        UserError: data for another task, or no data at all.
    """
    wanted, foreign = (CLASSIFIER_KEYS, ENCODER_KEYS) if classifier else (ENCODER_KEYS, CLASSIFIER_KEYS)
    for key in foreign:
        if getattr(config, key):
            kind = "a classifier" if classifier else "an encoder"
            raise UserError(f"{key}: {name} is {kind}; it is judged by {', '.join(wanted)}")
    if not any(getattr(config, key) for key in wanted):
        raise UserError(f"{name}: nothing to judge it by; name {' or '.join(wanted)}")
    if classifier and not config.test_tables:
        raise UserError(f"{name}: is a classifier; name a labelled table as test")
