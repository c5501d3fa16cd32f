"""Pretraining: set up, fit, validate, finish; everything that must survive a kill is in a checkpoint."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import distributed
from tqdm import tqdm

from training.electra.losses import Batch, Sums
from training.errors import Stopped, UserError
from training.files import disk_is_full, only_one
from training.pretrain import checkpoint as checkpoints
from training.pretrain.alarms import alarms
from training.pretrain.batches import BatchMaker, Prefetcher, to_device
from training.pretrain.config import PretrainConfig
from training.pretrain.health import Health, evaluate
from training.pretrain.log import RunLog
from training.pretrain.meter import Meter, machine_rate
from training.pretrain.parallel import is_sharded, largest, release
from training.pretrain.place import Place, autocast, join, leave
from training.pretrain.recorded import updater
from training.pretrain.rows import RowSource
from training.pretrain.saving import finish, save
from training.pretrain.setup import Run, describe, set_up, warn_of_little_text


def pretrain(
    config: PretrainConfig, shards_dir: Path, tokenizer_path: Path, output_dir: Path, progress: bool = True
) -> Path:
    """Train, or go on training, and write ``output_dir/pretrained/{discriminator,generator}``.

    Returns:
        ``output_dir/pretrained``.

    Raises:
        UserError: what the user can mend, such as a tokenizer that does not fit the shards, a loss that is
        not finite, a full disk, or another run that writes there. Stopped: a signal arrived; the state is
        saved.
    """
    place = join()
    try:
        with _alone(output_dir, place):
            run = set_up(config, shards_dir, tokenizer_path, output_dir, place, progress)
            if place.first and progress:
                describe(run)
            if place.first:
                warn_of_little_text(run)
            fit(run, progress and place.first)
            return finish(run)
    except Exception as error:
        if disk_is_full(error):
            raise UserError(
                f"{output_dir}: the disk is full; make room and run the same command again: it goes on from "
                "the last good checkpoint"
            ) from None
        raise
    finally:
        leave(place)


@contextmanager
def _alone(directory: Path, place: Place) -> Iterator[None]:
    """Keep other runs out of ``directory``: the first process, which writes, locks it for all."""
    refusal: UserError | None = None
    with ExitStack() as held:
        if place.first:
            try:
                held.enter_context(only_one(directory))
            except UserError as error:
                refusal = error
        if largest(place, int(refusal is not None))[0]:
            raise refusal or UserError(f"{directory}: the first process found another run writing there")
        yield


def fit(run: Run, progress: bool) -> None:
    """Train from ``run.step`` to the end; saves on signals, on schedule, and at the end."""
    config, total = run.config, run.config.total_steps
    log = RunLog(run.directory, run.step) if run.place.first else None
    previous = {
        number: signal.signal(number, _request_stop(run)) for number in (signal.SIGTERM, signal.SIGINT)
    }
    context = autocast(config.numbers, run.place.device)
    prefetcher = Prefetcher(lambda step: make_batch(run, step), total)
    update = updater(run, context)
    bar = tqdm(
        total=total, initial=run.step, unit="step", disable=not progress, desc="pretrain", mininterval=1.0
    )
    run.model.train()
    meter = Meter(run, machine_rate(run))
    saved_at = time.monotonic()
    leaving = False
    try:
        while run.step < total:
            meter.add(update(prefetcher.get(run.step)))
            run.step += 1
            bar.update()
            last_step = run.step == total
            if run.step % config.log_every == 0 or last_step:
                values = meter.read()
                bar.set_postfix_str(f"loss {values['loss']:.3f}, {values['tokens_per_second']:,.0f} tokens/s")
                if log:
                    log.write(run.step, values)
            if run.step % config.evaluate_every == 0 or last_step:
                meter.check()
                _validate(run, log, context, bar)
            # A signal and the clock reach processes at different steps; all save and stop at the same one.
            late = time.monotonic() - saved_at > 60 * config.checkpoint_minutes
            due, stop = largest(
                run.place, int(late or run.step % config.checkpoint_every == 0), run.stop_requested
            )
            if stop:
                _ignore_signals()
            if due or last_step or stop:
                meter.check()
                save(run)
                saved_at = time.monotonic()
            if stop and not last_step:
                leaving = run.place.world > 1
                if leaving:
                    distributed.barrier()  # nobody leaves before the first process has saved
                raise Stopped(
                    f"stopped by signal {stop} after step {run.step} of {total}; the same "
                    "command goes on from there"
                )
    finally:
        prefetcher.close()
        bar.close()
        if log:
            log.close()
        # A launcher signals the rest when one process ends: stopped ones then end in peace, with their code.
        if not leaving:
            for number, handler in previous.items():
                signal.signal(number, handler)


def _request_stop(run: Run) -> Any:
    def handler(number: int, _frame: object) -> None:
        if run.stop_requested:
            raise KeyboardInterrupt  # asked twice: do not wait for the step to end
        run.stop_requested = number

    return handler


def _ignore_signals() -> None:
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)


def make_batch(run: Run, step: int) -> Batch:
    """The rows of ``step`` that this process trains on, masked, on its device."""
    number, since = run.phase_of(step)
    rows = run.config.phases[number].rows
    batch = run.makers[number].make(step, since * rows, rows, run.place.rank, run.place.world)
    return to_device(batch, run.place.device)


def _heldout(run: Run) -> Iterator[Batch]:
    """The same held-out rows every time, masked the same way."""
    number, _ = run.position
    phase, maker = run.config.phases[number], run.makers[number]
    source = RowSource(run.shards, "heldout", phase.length, seed=0)
    source.locate(0)
    rows = min(run.config.evaluation_rows, source.epoch_rows)
    held = BatchMaker(source, run.special, maker.rate, maker.maximum, seed=0)
    size = max(1, 4096 // phase.length)
    for start in range(0, rows, size):
        yield to_device(held.make(start, start, min(size, rows - start)), run.place.device)


def _health(run: Run, context: torch.autocast) -> Health | None:
    """Figures on held-out text; None on a process that stood by."""
    if not is_sharded(run.wrapped):
        if not run.place.first:
            return None
        return evaluate(run.model, _heldout(run), run.special.mask, context, None, run.log_probabilities)

    def forward(batch: Batch) -> Sums:
        sums: Sums = run.wrapped(batch, 1.0, 1.0, judged=True)[1]
        return sums

    # All processes judge the same rows, for layers are gathered on all of them at once.
    health = evaluate(run.model, _heldout(run), run.special.mask, context, forward, run.log_probabilities)
    release(run.wrapped)
    return health


def _validate(run: Run, log: RunLog | None, context: torch.autocast, bar: Any) -> None:
    health = _health(run, context)
    directory = run.directory / "checkpoints"
    better: checkpoints.Best | None = None
    if health is not None and run.place.first:
        run.history.append((run.step, health))
        now = checkpoints.Best(run.step, health.loss, run.position[0])
        better = now if now.is_better_than(checkpoints.marked_best(directory)) else None
    if largest(run.place, int(better is not None))[0]:
        save(run)
        if better is not None:
            checkpoints.mark_best(directory, better)
            checkpoints.prune(directory, run.config.keep_last)
    if log is None or health is None:
        return
    log.write(run.step, {f"heldout/{key}": value for key, value in health.to_dict().items()})
    log.draw()
    bar.write(
        f"step {run.step}: held-out generator loss {health.generator_loss:.3f}, accuracy "
        f"{health.generator_accuracy:.3f}; "
        f"discriminator AUROC {health.auroc:.3f}, average precision {health.average_precision:.3f} "
        f"({health.replaced_rate:.1%} replaced)"
    )
    for text in alarms(run.history, run.config.warmup_steps, run.electra.vocab_size):
        bar.write(f"ALARM: {text}")
        log.write(run.step, {"alarm": text})
