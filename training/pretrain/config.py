"""What a user says about a pretraining run."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any, Literal

from training.config import FilePath, from_mapping
from training.electra.config import PRESETS, ElectraConfig
from training.errors import UserError

Numbers = Literal["auto", "float32", "bfloat16"]


@dataclass(frozen=True)
class PhaseConfig:
    """A stretch of training at one row length."""

    # Optimiser updates in this phase.
    steps: int
    # Tokens per row.
    length: int = 128
    # Rows per update, over all processes.
    rows: int = 128
    # Share of tokens masked in this phase; default: the model's.
    mask_rate: float | None = None

    def __post_init__(self) -> None:
        if self.steps < 1 or self.length < 8 or self.rows < 1:
            raise ValueError("a phase needs steps >= 1, length >= 8 and rows >= 1")
        if self.mask_rate is not None and not 0 < self.mask_rate < 1:
            raise ValueError(f"mask_rate must lie between 0 and 1, found {self.mask_rate}")


# Peak learning rate, and steps, row length and rows an update, where the user names none: Table 6 of the
# paper, and for `tiny` those of `small`. Of `large` the table has ELECTRA-400K; the published ELECTRA-1.75M
# is the same for 1,750,000 steps.
_PUBLISHED = {
    "tiny": (5e-4, PhaseConfig(steps=1_000_000, length=128, rows=128)),
    "small": (5e-4, PhaseConfig(steps=1_000_000, length=128, rows=128)),
    "base": (2e-4, PhaseConfig(steps=766_000, length=512, rows=256)),
    "large": (2e-4, PhaseConfig(steps=400_000, length=512, rows=2048)),
}


@dataclass(frozen=True)
class PretrainConfig:
    """One pretraining run."""

    # Size by name (tiny, small, base, large), with its learning rate and phase; the paper's Table 6.
    preset: Literal["tiny", "small", "base", "large"] = "small"
    # Single fields of the model that differ from the preset, such as {num_hidden_layers: 6}.
    model: dict[str, Any] = dataclasses.field(default_factory=dict)
    # Row lengths and how long each is trained, in order; default: the preset's.
    phases: tuple[PhaseConfig, ...] = None  # type: ignore[assignment]
    # Peak learning rate (default: the preset's), and the updates over which it rises.
    learning_rate: float = None  # type: ignore[assignment]
    warmup_steps: int = 10_000
    # Share of the peak at which the linear decay ends.
    end_fraction: float = 0.0
    weight_decay: float = 0.01
    adam_betas: tuple[float, float] = (0.9, 0.999)
    adam_epsilon: float = 1e-6
    # The reference's Adam has no bias correction.
    bias_correction: bool = False
    # Joint gradient norm of generator and discriminator.
    clip_norm: float = 1.0
    # Mask whole Chinese words (rjieba) and whole English words instead of single tokens.
    whole_word_masking: bool = False
    # Sampling temperature of the generator, and whether it may draw the original token.
    temperature: float = 1.0
    disallow_correct: bool = False
    # Share of the replacements drawn by frequency, not by the generator: easier to find, for a short run
    # whose generator is ahead of its discriminator (needs word_initialization: cooccurrence).
    noise_share: float = 0.0
    # Rows per forward pass; 0: all rows of a process at once.
    micro_rows: int = 0
    # auto: bfloat16 where the processor multiplies it natively (AMX, AVX512-BF16, CUDA), float32 elsewhere.
    numbers: Numbers = "auto"
    # Layers and vocabulary by this project's own kernels, where a CPU has AMX and the numbers are bfloat16:
    # compiled at the first run (g++), twice as fast as torch. Elsewhere this changes nothing.
    native_kernels: bool = True
    # torch.compile the forward pass, where native_kernels do not run it: pays on long runs, costs a minute or
    # two at the start.
    compile: bool = False
    # Record the kernels of an update once and launch them as one: on a GPU, with one process and Adam without
    # bias correction; elsewhere this changes nothing.
    cuda_graphs: bool = True
    # A checkpoint directory (BERT or ELECTRA, Hugging Face form) to start the weights from.
    warm_start: FilePath | None = None
    # cooccurrence: start the word vectors from counts of the corpus, a minute that saves a short run hours.
    word_initialization: Literal["normal", "cooccurrence"] = "normal"
    seed: int = 1
    # Updates between log lines, evaluations on held-out text, and checkpoints; minutes between checkpoints
    # as well.
    log_every: int = 20
    evaluate_every: int = 500
    checkpoint_every: int = 500
    checkpoint_minutes: float = 10.0
    # Checkpoints kept: the last so many, and the best by held-out loss.
    keep_last: int = 2
    # Held-out rows per evaluation.
    evaluation_rows: int = 256
    # Copies of the model in every process (DistributedDataParallel; in shared memory on one host's CPU), or
    # shards of it (FSDP2, for large).
    parallel: Literal["ddp", "fsdp"] = "ddp"

    def __post_init__(self) -> None:
        rate, phase = _PUBLISHED[self.preset]
        # Filled in here, so that a checkpoint records what its weights were trained with.
        if self.learning_rate is None:
            object.__setattr__(self, "learning_rate", rate)
        if self.phases is None:
            object.__setattr__(self, "phases", (phase,))
        if not self.phases:
            raise ValueError("phases must name at least one phase")
        if self.warmup_steps > self.total_steps:
            raise ValueError(
                f"warmup_steps {self.warmup_steps} is longer than the {self.total_steps} steps of all phases"
            )
        if self.learning_rate <= 0 or self.clip_norm <= 0 or self.temperature <= 0:
            raise ValueError("learning_rate, clip_norm and temperature must be above 0")
        if self.learning_rate > 1:
            raise ValueError(f"learning_rate must be at most 1, such as 5e-4, not {self.learning_rate:g}")
        if min(self.log_every, self.evaluate_every, self.checkpoint_every, self.keep_last) < 1:
            raise ValueError("log_every, evaluate_every, checkpoint_every and keep_last must be at least 1")
        if not 0 <= self.noise_share <= 1:
            raise ValueError(f"noise_share must lie between 0 and 1, found {self.noise_share}")
        if self.warm_start is not None and self.word_initialization == "cooccurrence":
            raise ValueError(
                "word_initialization: cooccurrence would overwrite the words of warm_start; leave one out"
            )
        if self.noise_share and self.word_initialization == "normal" and self.warm_start is None:
            raise ValueError(
                "noise_share needs word_initialization: cooccurrence, which knows the frequencies"
            )
        if "vocab_size" in self.model:
            raise ValueError("model: vocab_size is the tokenizer's; leave it out")
        self.electra_config(30522)

    @property
    def total_steps(self) -> int:
        return sum(phase.steps for phase in self.phases)

    @property
    def total_tokens(self) -> int:
        """Tokens seen, padding included."""
        return sum(phase.steps * phase.length * phase.rows for phase in self.phases)

    def electra_config(self, vocab_size: int) -> ElectraConfig:
        """The model of this run for a vocabulary.

        Raises:
            ValueError: an unknown key, a value of the wrong kind, or sizes that cannot be together.
        """
        values = PRESETS[self.preset].to_dict() | self.model | {"vocab_size": vocab_size}
        try:
            config = from_mapping(ElectraConfig, values, "model")
        except UserError as error:
            raise ValueError(str(error)) from None
        longest = max(phase.length for phase in self.phases)
        if longest > config.max_position_embeddings:
            raise ValueError(
                f"a phase has rows of {longest} tokens, the model {config.max_position_embeddings} positions"
            )
        return config
