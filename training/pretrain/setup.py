"""Setting a run up: data opened, model built, the newest good checkpoint put back."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, cast

import torch
from tqdm import tqdm

from app.bundle import SpecialTokens
from training.corpus.shards import TokenShards
from training.electra.config import ElectraConfig
from training.electra.losses import Batch, Sums, joint_forward, joint_loss
from training.electra.model import Electra, Layer, parameter_count
from training.electra.native.library import usable
from training.electra.optimizer import ElectraAdam, parameter_groups
from training.errors import UserError
from training.hardware import hardware_name
from training.pretrain import checkpoint as checkpoints
from training.pretrain.batches import BatchMaker
from training.pretrain.config import PretrainConfig
from training.pretrain.cooccurrence import count, start_from_counts
from training.pretrain.frequencies import token_log_probabilities
from training.pretrain.health import Health
from training.pretrain.parallel import is_sharded, largest, replicate, shard
from training.pretrain.place import Place, autocast
from training.pretrain.resume import changed_settings
from training.pretrain.rows import RowSource
from training.pretrain.warmstart import record_of, warm_start, weights_digest
from training.pretrain.words import WordFinder
from training.tokenizer import load_tokenizer, special_tokens

# Passes over the text beyond which it is more learnt by heart than learnt from.
_MANY_PASSES = 40


@dataclass
class Run:
    """All that one process of a run holds."""

    config: PretrainConfig
    electra: ElectraConfig
    place: Place
    directory: Path
    shards: TokenShards
    tokenizer_path: Path
    special: SpecialTokens
    model: Electra
    wrapped: torch.nn.Module
    optimizer: ElectraAdam
    makers: list[BatchMaker]
    step: int = 0
    tokens: int = 0
    history: list[tuple[int, Health]] = field(default_factory=list)
    stop_requested: int = 0
    # Machines that it was trained on, in order.
    hardware: list[str] = field(default_factory=list)
    saved_step: int = -1
    # What had gone into the weights that it started from, as `record_of` tells; or nothing.
    before: dict[str, Any] = field(default_factory=dict)
    # Settings that are others than those of the checkpoint that it goes on from.
    changed: list[str] = field(default_factory=list)

    def phase_of(self, step: int) -> tuple[int, int]:
        """Phase number of ``step``, and steps since that phase began."""
        for number, phase in enumerate(self.config.phases):
            if step < phase.steps:
                return number, step
            step -= phase.steps
        raise IndexError(step)

    @cached_property
    def log_probabilities(self) -> torch.Tensor:
        """``[vocabulary]``, of the tokens of the text by frequency."""
        return token_log_probabilities(self.shards, self.electra.vocab_size)

    @property
    def position(self) -> tuple[int, int]:
        """``phase_of`` the coming update; of the last one when all are made."""
        return self.phase_of(min(self.step, self.config.total_steps - 1))


class JointModel(torch.nn.Module):
    """``joint_forward`` as a module, so that DDP, FSDP2 and ``torch.compile`` can wrap it."""

    def __init__(self, model: Electra, mask_id: int, config: PretrainConfig) -> None:
        super().__init__()
        self.model = model
        self.mask_id = mask_id
        self.temperature = config.temperature
        self.disallow_correct = config.disallow_correct
        self.noise_share = config.noise_share

    def forward(
        self, batch: Batch, masked: torch.Tensor | float, tokens: torch.Tensor | float, judged: bool = False
    ) -> tuple[torch.Tensor, Sums]:
        """The loss of ``batch`` as its share of a whole batch with these counts, and the sums behind it.

        ``judged``: as on held-out rows, whose generator draws without the settings of training and is asked
        for its most probable tokens too.
        """
        sums = joint_forward(
            self.model,
            batch,
            self.mask_id,
            temperature=1.0 if judged else self.temperature,
            disallow_correct=self.disallow_correct and not judged,
            noise_share=0.0 if judged else self.noise_share,
            with_argmax=judged,
        )
        return joint_loss(self.model, sums, masked, tokens), sums


def set_up(
    config: PretrainConfig,
    shards_dir: Path,
    tokenizer_path: Path,
    output_dir: Path,
    place: Place,
    progress: bool = False,
) -> Run:
    """Open the data, build the model, and restore the newest good checkpoint if there is one.

    Raises:
        UserError: a split without documents, a tokenizer or corpus that does not fit, a checkpoint of other
            settings (``changed_settings``).
    """
    shards = TokenShards(shards_dir, tokenizer_path)
    tokenizer = load_tokenizer(tokenizer_path)
    electra = config.electra_config(tokenizer.get_vocab_size())
    torch.manual_seed(config.seed)
    model = Electra(electra)
    special = special_tokens(tokenizer)
    words = WordFinder(tokenizer) if config.whole_word_masking else None
    makers = [
        BatchMaker(
            RowSource(shards, "train", phase.length, config.seed + number),
            special,
            phase.mask_rate or electra.mask_rate,
            int(((phase.mask_rate or electra.mask_rate) + 0.005) * phase.length),
            config.seed,
            words,
        )
        for number, phase in enumerate(config.phases)
    ]
    for phase in config.phases:
        RowSource(shards, "heldout", phase.length, seed=0)  # one that is missing must not end hours of work
    output_dir.mkdir(parents=True, exist_ok=True)
    last = checkpoints.latest_good(output_dir / "checkpoints")
    if last is None and config.warm_start:
        fresh = warm_start(model, tokenizer, Path(config.warm_start))
        if fresh and place.first:
            print(f"warm start: not in {config.warm_start}, so untrained: {', '.join(fresh)}")
    if last is None and config.word_initialization == "cooccurrence":
        _count_words(model, makers[0].source, special, config.seed, progress and place.first)
    model.to(place.device)
    joint = JointModel(model, special.mask, config)
    if config.parallel == "fsdp" and place.world > 1:
        shard(joint, model, config, place)
    optimizer = ElectraAdam(
        parameter_groups(model, config.weight_decay),
        config.learning_rate,
        betas=config.adam_betas,
        eps=config.adam_epsilon,
        bias_correction=config.bias_correction,
    )
    run = Run(
        config=config,
        electra=electra,
        place=place,
        directory=output_dir,
        shards=shards,
        tokenizer_path=tokenizer_path,
        special=special,
        model=model,
        wrapped=joint,
        optimizer=optimizer,
        makers=makers,
        hardware=[hardware_name()],
        before=record_of(Path(config.warm_start)) if last is None and config.warm_start else {},
    )
    if last is not None:
        _restore(run, last)
    newest, oldest = largest(place, run.step, -run.step)
    if newest != -oldest:
        raise UserError(
            f"{output_dir}: some processes see step {newest}, others step {-oldest}; the output "
            "directory must be one that all hosts share"
        )
    if place.first:
        # All have read theirs by now.
        for path in checkpoints.set_aside_after(output_dir / "checkpoints", run.step):
            print(f"warning: a later checkpoint was set aside as {path}; delete it when you need the room")
    if not is_sharded(joint):
        if config.native_kernels:
            _use_kernels(model, config, place)
        run.wrapped = replicate(joint, optimizer, config, place)
    return run


def _restore(run: Run, last: checkpoints.Checkpoint) -> None:
    expected = identity(run)
    before = last.state["identity"]
    for key, value in expected.items():
        # Checkpoints of before did not say what they started from; what is gone cannot be compared.
        if key == "start" and (value is None or key not in before):
            continue
        if before.get(key) != value:
            raise UserError(
                f"{last.path}: was trained with another {key}; choose another output directory, "
                f"or restore the old {key}"
            )
    run.changed = changed_settings(run.config, last.state.get("config", {}), last.step, str(last.path))
    checkpoints.restore(last, run.model, run.optimizer)
    run.step, run.tokens = last.step, int(last.state["tokens"])
    run.history = [(step, Health(**values)) for step, values in last.state["history"]]
    run.before = last.state.get("before", {})
    before = last.state.get("hardware", [])
    if before and (run.step >= run.config.total_steps or run.hardware[0] in before):
        run.hardware = before
    else:
        run.hardware = [*before, *run.hardware]
    torch.set_rng_state(last.tensors["random/torch"])
    if run.place.device.type == "cuda" and "random/cuda" in last.tensors:
        torch.cuda.set_rng_state(last.tensors["random/cuda"])


def identity(run: Run) -> dict[str, Any]:
    """What must be the same when a run is resumed; lengthening the last phase is allowed."""
    return {
        "tokenizer": run.shards.tokenizer_sha256,
        "corpus": run.shards.manifest["parameters_digest"],
        "model": run.electra.to_dict(),
        "seed": run.config.seed,
        "start": weights_digest(Path(run.config.warm_start)) if run.config.warm_start else None,
    }


def _use_kernels(model: Electra, config: PretrainConfig, place: Place) -> None:
    if place.device.type != "cpu" or not autocast(config.numbers, place.device)._enabled:
        return
    layers = [cast(Layer, encoder.layers[0]) for encoder in (model.generator, model.discriminator)]
    if not any(layer.sizes_fit_kernels(phase.length) for layer in layers for phase in config.phases):
        return
    if not usable(speak=place.first):
        return
    for module in (model.generator, model.discriminator, model.generator_head):
        module.native = True


def _count_words(
    model: Electra, source: RowSource, special: SpecialTokens, seed: int, progress: bool
) -> None:
    with tqdm(desc="count words", unit=" tokens", unit_scale=True, disable=not progress) as bar:
        counts = count(source, model.config.vocab_size, special, bar.update)
        bar.set_postfix_str("factorising")
        start_from_counts(model, counts, seed)


def describe(run: Run) -> None:
    """Say what is about to be trained, before the first step."""
    parameters = parameter_count(run.model)
    tokens = run.shards.tokens("train")
    passes = run.config.total_tokens / max(tokens, 1)
    kernels = " by the kernels for AMX" if run.model.discriminator.native else ""
    numbers = "bfloat16" if autocast(run.config.numbers, run.place.device)._enabled else "float32"
    print(
        f"pretrain: {parameters:,} parameters, vocabulary {run.electra.vocab_size:,}, "
        f"{tokens:,} tokens of text, "
        f"{run.config.total_tokens:,} tokens to train on "
        f"({passes:.1f} passes), "
        f"{run.place.world} process(es) on {run.place.device.type} in {numbers}{kernels}"
        + (f"; going on from step {run.step}" if run.step else "")
        + (f" with another {', '.join(run.changed)}" if run.changed else "")
    )


def warn_of_little_text(run: Run) -> None:
    """Say, before the first step, where there is far too little text for the steps."""
    tokens = run.shards.tokens("train")
    passes = run.config.total_tokens / max(tokens, 1)
    if passes > _MANY_PASSES:
        trained = ", or go on from trained weights (`start` of a recipe, `warm_start`)"
        print(
            f"warning: about {passes:,.0f} passes over {tokens:,} tokens; the text is too small for these "
            "steps and will be learnt by heart; lower the steps of `phases`"
            + ("" if run.config.warm_start else trained)
        )
