"""What a fine-tuning run is told: one documented line per field, checked where it is built."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from training.config import FilePath
from training.tables import Columns, Task

Precision = Literal["auto", "fp32", "bf16"]


@dataclass(frozen=True)
class CorruptionConfig:
    """How clean text is made wrong, to teach the replaced-token head real errors (task error_detection)."""

    # Clean text: .txt (one paragraph per line, also .xz) or tables with a text column.
    text: tuple[FilePath, ...]
    # Share of texts that get at least one error; the others stay clean and teach what is right.
    corrupted_share: float = 0.5
    # Errors per character (Chinese) or per word (English) in a text that is corrupted; never fewer than one.
    error_rate: float = 0.05
    # Weights of the kinds of error. Kinds that do not fit a text's script are left out for that text.
    sound_alike: float = 0.45
    shape_alike: float = 0.15
    random: float = 0.1
    generator: float = 0.2
    swapped: float = 0.1
    # ElectraForMaskedLM directory whose samples are the `generator` kind; without it the kind is left out.
    generator_model: FilePath | None = None
    # Look-alike characters, one set per line, for `shape_alike`; without a file, the table of the service.
    shape_sets: FilePath | None = None
    # How many times each text is used, with other errors each time.
    copies: int = 1
    # Texts used at most (0 = all), as many of each file, and their longest length in code points.
    max_texts: int = 20000
    max_characters: int = 200

    def __post_init__(self) -> None:
        _in_range("corrupted_share", self.corrupted_share, 0.0, 1.0)
        _in_range("error_rate", self.error_rate, 0.0, 0.5)
        if min(self.sound_alike, self.shape_alike, self.random, self.generator, self.swapped) < 0:
            raise ValueError("weights of the kinds of error must not be negative")
        if not self.text:
            raise ValueError("text must name at least one file of clean text")
        if self.copies < 1:
            raise ValueError("copies must be 1 or more")


@dataclass(frozen=True)
class FinetuneConfig:
    """One fine-tuning task. Defaults are the paper's for a small model (Table 7)."""

    # Directory of an ElectraForPreTraining, ElectraModel or ElectraForSequenceClassification.
    checkpoint: FilePath
    # Labelled files; several are joined. May be empty only where `corruption` makes the examples.
    train: tuple[FilePath, ...] = ()
    # Without dev, a part of train is held out (dev_fraction, chosen by a hash of the text).
    dev: tuple[FilePath, ...] = ()
    # Scored once per seed, after the dev set has chosen the checkpoint.
    test: tuple[FilePath, ...] = ()
    # single_label, multi_label, token_labels, or error_detection (starts from the replaced-token head).
    task: Task = "single_label"
    # Column names; found by header where not named.
    columns: Columns = field(default_factory=Columns)
    # New names for labels as they stand in the files, such as {"0": negative}.
    label_names: dict[str, str] = field(default_factory=dict)
    # Share of train held out where there is no dev.
    dev_fraction: float = 0.1
    # Leave out rows with an empty text instead of refusing the file.
    drop_empty: bool = False
    # Train rows that also stand in dev or test: warn, or drop them from train.
    overlap: Literal["warn", "drop"] = "warn"
    # Train rows used at most (0 = all), dev not counted: the first by a hash of the text, with every label.
    max_train_rows: int = 0
    # Longest row, special tokens included. Longer texts are cut (token tasks: split into several rows).
    max_tokens: int = 128
    epochs: float = 3.0
    batch_size: int = 32
    # Of the head; the layers below get less, see layer_decay.
    learning_rate: float = 3e-4
    # Learning rate of a layer over that of the one above; 1 switches the decay off.
    layer_decay: float = 0.8
    # published: top layer lr * decay. reference: as the original code does it, one power lower throughout.
    layer_decay_form: Literal["published", "reference"] = "published"
    # Share of the steps that warm up linearly; then linear to 0.
    warmup_fraction: float = 0.1
    # The paper says 0, its code 0.01.
    weight_decay: float = 0.0
    # Gradients are clipped to this norm; 0 switches it off.
    max_grad_norm: float = 1.0
    # Of hidden states and attention; None keeps the checkpoint's.
    dropout: float | None = None
    # hugging_face: dense, gelu, linear. plain: dropout and linear, as published (saved in the former's form).
    head: Literal["hugging_face", "plain"] = "hugging_face"
    # keep: as in the checkpoint. mean: starts as the mean of all tokens, for a checkpoint whose pretraining
    # was too short to gather a text in [CLS].
    last_layer: Literal["keep", "mean"] = "keep"
    # none, balanced (inverse frequency), or a weight per label name.
    class_weights: Literal["none", "balanced"] | dict[str, float] = "none"
    # One run per seed: initial head, order of rows, dropout.
    seeds: tuple[int, ...] = (0,)
    # Dev evaluations per epoch; each is also a checkpoint to resume from.
    evaluations_per_epoch: int = 1
    # Stop after so many evaluations without a better dev figure; 0 never stops early.
    patience: int = 0
    # The dev figure that chooses; None takes the task's usual one.
    metric: str | None = None
    # auto: bfloat16 where the processor multiplies it in hardware (AMX, AVX512-BF16 or a GPU), else float32.
    precision: Precision = "auto"
    # Batches of rows of like length, so that little is spent on padding.
    length_grouping: bool = True
    # Processor threads; 0 takes what the machine (or container) grants.
    threads: int = 0
    # Folder of a larger fine-tuned model to learn from; its labels must be the same. Or `tfidf`: TF-IDF +
    # logistic regression on train.
    teacher: FilePath | None = None
    # Train one more model on the averaged answers of all seeds and keep that one.
    distill_seeds: bool = False
    # Unlabelled text (.txt or tables with a text column) that the teacher labels too.
    unlabelled: tuple[FilePath, ...] = ()
    # Unlabelled texts used at most (0 = all), the first by a hash of the text.
    max_unlabelled_rows: int = 0
    # Share of the teacher's answers in the loss, against the labels.
    distill_weight: float = 0.7
    # Softens teacher and student alike.
    distill_temperature: float = 2.0
    # Longest n-gram of tokens that votes beside the network (0 = none): TF-IDF + logistic regression on
    # train, weighed on dev, inside the exported graph. 3 pays where pretraining was short; train the network
    # without `tfidf` as its teacher then, or it repeats what the n-grams know.
    ngrams: int = 0
    # N-grams kept, the ones that weigh most; a thousand take 20 to 35 kB, more with more labels.
    ngram_terms: int = 60000
    # Makes examples from clean text (task error_detection).
    corruption: CorruptionConfig | None = None
    # Majority class and TF-IDF + logistic regression on the same rows, for the report.
    baselines: bool = True

    def __post_init__(self) -> None:
        for name in ("dev_fraction", "warmup_fraction", "distill_weight"):
            _in_range(name, getattr(self, name), 0.0, 1.0)
        if not 0 < self.layer_decay <= 1:
            raise ValueError(f"layer_decay must be in (0, 1], not {self.layer_decay}")
        if self.learning_rate <= 0 or self.epochs <= 0 or self.distill_temperature <= 0:
            raise ValueError("learning_rate, epochs and distill_temperature must be above 0")
        if self.learning_rate > 1:
            raise ValueError(f"learning_rate must be at most 1, such as 3e-4, not {self.learning_rate:g}")
        if self.batch_size < 1 or self.evaluations_per_epoch < 1:
            raise ValueError("batch_size and evaluations_per_epoch must be 1 or more")
        if self.max_tokens < 8:
            raise ValueError(f"max_tokens must be 8 or more, not {self.max_tokens}")
        if not self.seeds or len(set(self.seeds)) != len(self.seeds) or min(self.seeds) < 0:
            raise ValueError("seeds must be one or more different numbers, none below 0")
        if self.dropout is not None:
            _in_range("dropout", self.dropout, 0.0, 0.9)
        if not self.train and self.corruption is None:
            raise ValueError("train must name at least one labelled file")
        if self.corruption is not None and self.task != "error_detection":
            raise ValueError("corruption needs task: error_detection")
        if not self.dev and not 0 < self.dev_fraction < 1:
            raise ValueError("without dev, dev_fraction must be between 0 and 1")
        if not 0 <= self.ngrams <= 5 or self.ngram_terms < 1:
            raise ValueError("ngrams must be 0 to 5, ngram_terms 1 or more")
        if self.distill_seeds and len(self.seeds) < 2:
            raise ValueError("distill_seeds needs two or more seeds")
        if self.unlabelled and not (self.distill_seeds or self.teacher):
            raise ValueError("unlabelled text needs a teacher or distill_seeds")
        if self.task in ("token_labels", "error_detection") and (
            self.unlabelled or self.head == "plain" or self.teacher == "tfidf" or self.ngrams
        ):
            raise ValueError(
                f"unlabelled, head: plain, teacher: tfidf and ngrams do not fit task {self.task}"
            )


def _in_range(name: str, value: float, low: float, high: float) -> None:
    if not low <= value <= high:
        raise ValueError(f"{name} must be between {low:g} and {high:g}, not {value}")
