"""Pretraining: set up, fit, validate, finish; everything that must survive a kill is in a checkpoint."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import distributed
from tqdm import tqdm

from training.corpus.shards import TokenShards
from training.electra.config import ElectraConfig
from training.electra.flops import matmul_flops_per_token
from training.electra.huggingface import to_discriminator, to_generator
from training.electra.losses import Batch, Sums, joint_forward, joint_loss
from training.electra.model import Electra
from training.electra.optimizer import ElectraAdam, clip_gradients, parameter_groups
from training.electra.schedule import learning_rate
from training.errors import UserError
from training.files import atomic_directory, atomic_file
from training.pretrain import checkpoint as checkpoints
from training.pretrain.batches import BatchMaker, Prefetcher, SpecialIds, split_rows, to_device
from training.pretrain.config import PretrainConfig
from training.pretrain.hardware import Place, autocast, join, leave
from training.pretrain.health import Health, alarms, evaluate
from training.pretrain.log import RunLog
from training.pretrain.rows import RowSource
from training.pretrain.warmstart import warm_start
from training.pretrain.words import WordFinder
from training.tokenizer import load_tokenizer, save_tokenizer


class Stopped(Exception):  # noqa: N818 - not an error: the run was asked to stop and has saved
    """SIGTERM or SIGINT arrived; the state is saved and the same command goes on from there."""


@dataclass
class Run:
    """All that one process of a run holds."""

    config: PretrainConfig
    electra: ElectraConfig
    place: Place
    directory: Path
    shards: TokenShards
    tokenizer_path: Path
    special: SpecialIds
    model: Electra
    wrapped: torch.nn.Module
    optimizer: ElectraAdam
    makers: list[BatchMaker]
    step: int = 0
    tokens: int = 0
    history: list[tuple[int, Health]] = field(default_factory=list)
    stop_requested: int = 0

    def phase_of(self, step: int) -> tuple[int, int]:
        """Phase number of ``step``, and steps since that phase began."""
        for number, phase in enumerate(self.config.phases):
            if step < phase.steps:
                return number, step
            step -= phase.steps
        raise IndexError(step)


class JointModel(torch.nn.Module):
    """``joint_forward`` as a module, so that DDP and ``torch.compile`` can wrap it."""

    def __init__(self, model: Electra, mask_id: int, config: PretrainConfig) -> None:
        super().__init__()
        self.model = model
        self.mask_id = mask_id
        self.temperature = config.temperature
        self.disallow_correct = config.disallow_correct

    def forward(self, batch: Batch, masked: float, tokens: float) -> tuple[torch.Tensor, Sums]:
        """The loss of ``batch`` as its share of a whole batch with these counts, and the sums behind it."""
        sums = joint_forward(
            self.model,
            batch,
            self.mask_id,
            temperature=self.temperature,
            disallow_correct=self.disallow_correct,
        )
        return joint_loss(self.model, sums, masked, tokens), sums


def pretrain(
    config: PretrainConfig, shards_dir: Path, tokenizer_path: Path, output_dir: Path, progress: bool = True
) -> Path:
    """Train, or go on training, and write ``output_dir/pretrained/{discriminator,generator}``.

    Returns:
        ``output_dir/pretrained``.

    Raises:
        UserError: what the user can mend, such as a tokenizer that does not fit the shards or a loss that is not finite.
        Stopped: a signal arrived; the state is saved.
    """
    place = join()
    try:
        run = set_up(config, shards_dir, tokenizer_path, output_dir, place)
        if place.first and progress:
            describe(run)
        fit(run, progress and place.first)
        return finish(run)
    finally:
        leave(place)


def set_up(
    config: PretrainConfig, shards_dir: Path, tokenizer_path: Path, output_dir: Path, place: Place
) -> Run:
    """Open the data, build the model, and restore the newest good checkpoint if there is one."""
    shards = TokenShards(shards_dir, tokenizer_path)
    tokenizer = load_tokenizer(tokenizer_path)
    electra = config.electra_config(tokenizer.get_vocab_size())
    torch.manual_seed(config.seed)
    model = Electra(electra)
    special = SpecialIds.of(tokenizer)
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
    output_dir.mkdir(parents=True, exist_ok=True)
    last = checkpoints.latest_good(output_dir / "checkpoints")
    if last is None and config.warm_start:
        warm_start(model, tokenizer, Path(config.warm_start))
    model.to(place.device)
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
        wrapped=model,
        optimizer=optimizer,
        makers=makers,
    )
    if last is not None:
        _restore(run, last)
    run.wrapped = _wrap(run)
    return run


def _wrap(run: Run) -> torch.nn.Module:
    joint: torch.nn.Module = JointModel(run.model, run.special.mask, run.config)
    if run.config.compile:
        joint = torch.compile(joint, dynamic=False)  # type: ignore[assignment]
    if run.place.world > 1:
        joint = torch.nn.parallel.DistributedDataParallel(joint)
    return joint


def _restore(run: Run, last: checkpoints.Checkpoint) -> None:
    expected = _identity(run)
    for key, value in expected.items():
        if last.state["identity"].get(key) != value:
            raise UserError(
                f"{last.path}: was trained with another {key}; choose another output directory, or restore the old {key}"
            )
    checkpoints.restore(last, run.model, run.optimizer)
    run.step, run.tokens = last.step, int(last.state["tokens"])
    run.history = [(step, Health(**values)) for step, values in last.state["history"]]
    torch.set_rng_state(last.tensors["random/torch"])
    if run.place.device.type == "cuda" and "random/cuda" in last.tensors:
        torch.cuda.set_rng_state(last.tensors["random/cuda"])


def _identity(run: Run) -> dict[str, Any]:
    """What must be the same when a run is resumed; lengthening the last phase is allowed."""
    return {
        "tokenizer": run.shards.tokenizer_sha256,
        "corpus": run.shards.manifest["parameters_digest"],
        "model": run.electra.to_dict(),
        "seed": run.config.seed,
    }


def fit(run: Run, progress: bool) -> None:
    """Train from ``run.step`` to the end; saves on signals, on schedule, and at the end."""
    config, total = run.config, run.config.total_steps
    log = RunLog(run.directory, run.step) if run.place.first else None
    previous = {
        number: signal.signal(number, _request_stop(run)) for number in (signal.SIGTERM, signal.SIGINT)
    }
    context = autocast(config.numbers, run.place.device)
    prefetcher = Prefetcher(lambda step: _make(run, step))
    bar = tqdm(
        total=total, initial=run.step, unit="step", disable=not progress, desc="pretrain", mininterval=1.0
    )
    run.model.train()
    meter = Meter(run)
    saved_at = time.monotonic()
    try:
        while run.step < total:
            batch = prefetcher.get(run.step) if run.step + 1 < total else _make(run, run.step)
            meter.add(_update(run, batch, context))
            run.step += 1
            bar.update()
            last_step = run.step == total
            if run.step % config.log_every == 0 or last_step:
                values = meter.read()
                bar.set_postfix_str(f"loss {values['loss']:.3f}, {values['tokens_per_second']:,.0f} tokens/s")
                if log:
                    log.write(run.step, values)
            if run.step % config.evaluate_every == 0 or last_step:
                _validate(run, log, context, bar)
            due = (
                run.step % config.checkpoint_every == 0
                or time.monotonic() - saved_at > 60 * config.checkpoint_minutes
            )
            stop = _agree_to_stop(run)
            if due or last_step or stop:
                meter.check()
                _save(run)
                saved_at = time.monotonic()
            if stop and not last_step:
                raise Stopped(
                    f"stopped by signal {stop} after step {run.step} of {total}; the same command goes on from there"
                )
    finally:
        prefetcher.close()
        bar.close()
        if log:
            log.close()
        for number, handler in previous.items():
            signal.signal(number, handler)


def _request_stop(run: Run) -> Any:
    def handler(number: int, _frame: object) -> None:
        if run.stop_requested:
            raise KeyboardInterrupt  # asked twice: do not wait for the step to end
        run.stop_requested = number

    return handler


def _agree_to_stop(run: Run) -> int:
    """The signal that any process received; all processes see the same answer."""
    if run.place.world == 1:
        return run.stop_requested
    flag = torch.tensor(run.stop_requested, device=run.place.device)
    distributed.all_reduce(flag, distributed.ReduceOp.MAX)
    return int(flag)


def _make(run: Run, step: int) -> Batch:
    number, since = run.phase_of(step)
    rows = run.config.phases[number].rows
    batch = run.makers[number].make(step, since * rows, rows, run.place.rank, run.place.world)
    return to_device(batch, run.place.device)


def _update(run: Run, batch: Batch, context: torch.autocast) -> dict[str, torch.Tensor]:
    """One optimiser update; returns device scalars, so that nothing waits for the device here."""
    config, world = run.config, run.place.world
    counts = torch.stack([batch.masked_weights.sum(), (batch.segments > 0).sum().float()])
    if world > 1:
        distributed.all_reduce(counts)
    rate = learning_rate(
        run.step, config.learning_rate, config.warmup_steps, config.total_steps, config.end_fraction
    )
    for group in run.optimizer.param_groups:
        group["lr"] = rate
    totals: dict[str, torch.Tensor] = {}
    pieces = list(split_rows(batch, config.micro_rows))
    for number, piece in enumerate(pieces):
        if isinstance(run.wrapped, torch.nn.parallel.DistributedDataParallel):
            run.wrapped.require_backward_grad_sync = number == len(pieces) - 1
        with context:
            loss, sums = run.wrapped(piece, counts[0], counts[1])
        # DDP averages gradients over processes; the loss is normalised by global counts already.
        (loss * world).backward()
        parts = {
            "loss": loss.detach(),
            "generator_loss": sums.generator.detach() / counts[0],
            "discriminator_loss": sums.discriminator.detach() / counts[1],
            "generator_sampled_accuracy": sums.sampled_correct / counts[0],
            "replaced_rate": sums.labels.sum() / counts[1],
        }
        totals = {key: totals.get(key, 0) + value for key, value in parts.items()}
    totals["gradient_norm"] = clip_gradients(run.model.parameters(), config.clip_norm)
    if run.place.device.type == "cpu" and not bool(totals["gradient_norm"].isfinite()):
        raise _not_finite(run)
    run.optimizer.step()
    run.optimizer.zero_grad(set_to_none=True)
    run.tokens += int(batch.ids.numel()) * world
    return totals


def _not_finite(run: Run) -> UserError:
    good = checkpoints.list_checkpoints(run.directory / "checkpoints")
    back = f"the last good checkpoint is {good[-1].name}" if good else "there is no checkpoint yet"
    return UserError(
        f"{run.directory}: the loss is not finite at step {run.step + 1}; {back}. Lower learning_rate or raise "
        "warmup_steps, then run the same command"
    )


class Meter:
    """Averages of device scalars between two readings, and the speed."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._sums: dict[str, torch.Tensor] = {}
        self._steps, self._tokens, self._since = 0, run.tokens, time.perf_counter()
        self._last: torch.Tensor | None = None

    def add(self, values: dict[str, torch.Tensor]) -> None:
        """Add one step's values; nothing is copied from the device."""
        for key, value in values.items():
            self._sums[key] = self._sums[key] + value if key in self._sums else value.clone()
        self._last = values["gradient_norm"]
        self._steps += 1

    def check(self) -> None:
        """Refuse to save a state that is not finite."""
        if self._last is not None and not bool(self._last.isfinite()):
            raise _not_finite(self._run)

    def read(self) -> dict[str, float]:
        """The averages since the last reading; this waits for the device."""
        run = self._run
        self.check()
        values = {key: float(total) / self._steps for key, total in self._sums.items()}
        if run.place.world > 1:
            names = sorted(values)
            tensor = torch.tensor([values[name] for name in names], device=run.place.device)
            distributed.all_reduce(tensor)
            # Losses are shares of the global batch and add up; the norm is the same everywhere.
            summed = dict(zip(names, tensor.tolist(), strict=True))
            values = summed | {"gradient_norm": summed["gradient_norm"] / run.place.world}
        seconds = time.perf_counter() - self._since
        speed = (run.tokens - self._tokens) / seconds
        phase = run.config.phases[run.phase_of(run.step - 1)[0]]
        values |= {
            "learning_rate": run.optimizer.param_groups[0]["lr"],
            "tokens": float(run.tokens),
            "tokens_per_second": speed,
            "teraflops": speed * matmul_flops_per_token(run.electra, phase.length) / 1e12,
        }
        self._sums, self._steps, self._tokens, self._since = {}, 0, run.tokens, time.perf_counter()
        return values


def _heldout(run: Run) -> Iterator[Batch]:
    """The same held-out rows every time, masked the same way."""
    number, _ = run.phase_of(min(run.step, run.config.total_steps - 1))
    phase, maker = run.config.phases[number], run.makers[number]
    source = RowSource(run.shards, "heldout", phase.length, seed=0)
    source.locate(0)
    rows = min(run.config.evaluation_rows, source.epoch_rows)
    held = BatchMaker(source, run.special, maker.rate, maker.maximum, seed=0)
    size = max(1, 4096 // phase.length)
    for start in range(0, rows, size):
        yield to_device(held.make(start, start, min(size, rows - start)), run.place.device)


def _validate(run: Run, log: RunLog | None, context: torch.autocast, bar: Any) -> None:
    if not run.place.first:
        return
    health = evaluate(run.model, _heldout(run), run.special.mask, context)
    run.history.append((run.step, health))
    directory = run.directory / "checkpoints"
    best = checkpoints.best_step(directory)
    if best is None or health.loss < best[1]:
        _save(run)
        checkpoints.mark_best(directory, run.step, health.loss)
    if log is None:
        return
    log.write(run.step, {f"heldout/{key}": value for key, value in health.to_dict().items()})
    log.draw()
    bar.write(
        f"step {run.step}: held-out generator loss {health.generator_loss:.3f}, accuracy {health.generator_accuracy:.3f}; "
        f"discriminator AUROC {health.auroc:.3f}, average precision {health.average_precision:.3f} "
        f"({health.replaced_rate:.1%} replaced)"
    )
    for text in alarms(run.history, run.config.warmup_steps, run.electra.vocab_size):
        bar.write(f"ALARM: {text}")
        log.write(run.step, {"alarm": text})


def _save(run: Run) -> None:
    if not run.place.first:
        return
    random = {"torch": torch.get_rng_state()}
    if run.place.device.type == "cuda":
        random["cuda"] = torch.cuda.get_rng_state()
    directory = run.directory / "checkpoints"
    number, since = run.phase_of(min(run.step, run.config.total_steps - 1))
    checkpoints.save_checkpoint(
        directory,
        run.step,
        checkpoints.model_tensors(run.model),
        checkpoints.optimizer_tensors(run.model, run.optimizer),
        random,
        {
            "identity": _identity(run),
            "tokens": run.tokens,
            "position": {"phase": number, "row": since * run.config.phases[number].rows},
            "history": [(step, health.to_dict()) for step, health in run.history],
            "group_steps": [group.get("step", 0) for group in run.optimizer.param_groups],
            "config": asdict(run.config),
        },
    )
    checkpoints.prune(directory, run.config.keep_last)


def finish(run: Run) -> Path:
    """Write both networks as Hugging Face directories, with the tokenizer and a record of the run beside them."""
    target = run.directory / "pretrained"
    if run.place.first:
        with atomic_directory(target) as temporary:
            tokenizer = load_tokenizer(run.tokenizer_path)
            for name, network in (
                ("discriminator", to_discriminator(run.model)),
                ("generator", to_generator(run.model)),
            ):
                network.save_pretrained(temporary / name)
                save_tokenizer(tokenizer, temporary / name)
            record = {
                "steps": run.step,
                "tokens_seen": run.tokens,
                "matmul_flops": sum(
                    phase.steps
                    * phase.rows
                    * phase.length
                    * matmul_flops_per_token(run.electra, phase.length)
                    for phase in run.config.phases
                ),
                "corpus_digest": run.shards.manifest["parameters_digest"],
                "heldout": run.history[-1][1].to_dict() if run.history else None,
                "config": asdict(run.config),
            }
            with atomic_file(temporary / "pretrain.json", "w", encoding="utf-8") as stream:
                json.dump(record, stream, indent=1)
    if run.place.world > 1:
        distributed.barrier()
    return target


def describe(run: Run) -> None:
    """Say what is about to be trained, before the first step."""
    parameters = sum(parameter.numel() for parameter in run.model.parameters())
    tokens = run.shards.tokens("train")
    numbers = "bfloat16" if autocast(run.config.numbers, run.place.device)._enabled else "float32"
    print(
        f"pretrain: {parameters:,} parameters, vocabulary {run.electra.vocab_size:,}, {tokens:,} tokens of text, "
        f"{run.config.total_tokens:,} tokens to train on ({run.config.total_tokens / max(tokens, 1):.1f} passes), "
        f"{run.place.world} process(es) on {run.place.device.type} in {numbers}"
        + (f"; going on from step {run.step}" if run.step else "")
    )
