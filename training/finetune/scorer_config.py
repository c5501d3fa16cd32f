"""What the trained sentence scorer of a bundle is made from."""

from __future__ import annotations

from dataclasses import dataclass, field

from training.config import FilePath


@dataclass(frozen=True)
class ScorerConfig:
    """Keys of ``electra-train scorer``."""

    bundle: FilePath  # directory of an encode bundle; the scorer is added to it
    train: list[FilePath] = field(default_factory=list)  # tables with columns document and summary
    dev: list[FilePath] = field(
        default_factory=list
    )  # the same; decides when to stop, and is reported beside lead
    documents: int = 3000  # at most this many documents of each train file
    dev_documents: int = 500  # at most this many documents of each dev file
    most_sentences: int = 10  # most sentences that the oracle may choose from one document
    hidden: int = 64  # units of the hidden layer; 0 for a logistic regression
    dropout: float = 0.1  # share of features and units left out in training
    learning_rate: float = 1e-3  # of AdamW
    weight_decay: float = 0.1  # of AdamW
    epochs: int = 40  # at most this many passes over the documents
    patience: int = 5  # stop after this many passes without a better loss on dev
    batch_documents: int = 64  # documents in one step
    seed: int = 0  # of initial weights, order and dropout
    make_default: bool = False  # whether summaries use the scorer when a request names no method

    def __post_init__(self) -> None:
        """Raises ``ValueError`` for a value that cannot be used."""
        for name in ("documents", "dev_documents", "most_sentences", "epochs", "patience", "batch_documents"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}; it must be at least 1")
        if self.hidden < 0 or not 0 <= self.dropout < 1:
            raise ValueError("hidden must not be negative, and dropout lies between 0 and 1")
        if not 0 < self.learning_rate <= 1:
            raise ValueError(f"learning_rate is {self.learning_rate:g}; it must be above 0 and at most 1")
        for name in ("train", "dev"):
            if not getattr(self, name):
                raise ValueError(f"{name} names no file; give tables with columns document and summary")
