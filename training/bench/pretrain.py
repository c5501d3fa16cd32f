"""Training speed: this engine beside the loop that its users would otherwise write.

The reference loop is what public reproductions do with Hugging Face modules: ``ElectraForMaskedLM`` and
``ElectraForPreTraining``, the vocabulary head on every position, float32, one document a row padded to the
full length, AdamW. Speed is counted in real tokens, padding left out, for both.
"""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import distributed
from tqdm import tqdm
from transformers import ElectraForMaskedLM, ElectraForPreTraining

from training.allocator import keep_freed_memory, return_freed_memory
from training.corpus.shards import TokenShards
from training.electra.flops import matmul_flops_per_token
from training.electra.huggingface import discriminator_config, generator_config
from training.electra.masking import choose_masked
from training.errors import UserError
from training.hardware import hardware_name, matmul_rate, native_bfloat16
from training.pretrain.batches import Prefetcher
from training.pretrain.config import PhaseConfig, PretrainConfig
from training.pretrain.loop import make_batch
from training.pretrain.parallel import largest
from training.pretrain.place import Place, autocast, join, leave
from training.pretrain.recorded import BEFORE, updater
from training.pretrain.setup import Run, set_up
from training.synthetic import write_synthetic_shards

_WARM = BEFORE + 2  # updates of each loop before the first turn: one is recorded, one replayed
_ATTEMPTS = 4  # turns that a noisy machine may spoil before one is taken as it is
_TOLERANCE = 0.15  # a matrix rate that moved by more than this share spoils the turn between


@dataclass(frozen=True)
class PretrainBench:
    """What is measured."""

    preset: str
    vocab_size: int
    length: int
    rows: int
    steps: int
    turns: int
    compile: bool
    model: dict[str, Any]
    cuda_graphs: bool = True
    native_kernels: bool = True


Tokens = float | torch.Tensor
Step = Callable[[int], Tokens]
"""Runs update number ``n``; returns the real tokens in it. The engine leaves them on the device, as in
training: reading them would wait for it."""


def measure(
    bench: PretrainBench, shards: Path | None, tokenizer: Path | None, scratch: Path
) -> dict[str, Any]:
    """Both loops in turns on the same shards; medians, ratio, and the share of the machine's matrix rate.

    Under ``torchrun`` all processes run the engine together, and the first one alone, on all cores, the
    reference and the matrix products. The figures are those of the first process.

    Raises:
        UserError: shards without their tokenizer, or a tokenizer without shards.
    """
    if (shards is None) != (tokenizer is None):
        given, missing = ("--tokenizer", "--shards") if shards is None else ("--shards", "--tokenizer")
        raise UserError(f"{given}: needs {missing} beside it; without both, synthetic text is measured")
    place = join()
    try:
        return _measure(bench, shards, tokenizer, scratch, place)
    finally:
        leave(place)


def _measure(
    bench: PretrainBench, shards: Path | None, tokenizer: Path | None, scratch: Path, place: Place
) -> dict[str, Any]:
    if shards is None or tokenizer is None:
        tokenizer, shards = write_synthetic_shards(scratch, bench.vocab_size)
    run = _engine(bench, shards, tokenizer, scratch, place)
    with closing(Prefetcher(lambda number: make_batch(run, number))) as prefetcher:
        return _compare(bench, run, prefetcher)


def _compare(bench: PretrainBench, run: Run, prefetcher: Prefetcher) -> dict[str, Any]:
    place = run.place
    dtype = torch.bfloat16 if native_bfloat16(place.device) else torch.float32
    loops = {
        "reference": _alone(_reference_step(run, bench), place),
        "engine": _together(_engine_step(run, prefetcher)),
    }
    rate_of_machine = _alone(lambda _: matmul_rate(dtype, place.device), place)
    speeds: dict[str, list[float]] = {name: [] for name in loops}
    rates: list[float] = []
    noisy = 0
    bar = tqdm(total=bench.turns * len(loops), desc="bench", unit="turn", disable=not place.first)
    for name, step in loops.items():
        for number in range(_WARM):  # first touches: allocation, compilation, recording
            step(number)
        bar.set_postfix_str(f"{name}: warm")
    # Each loop counts on by itself: the batch that the engine prefetched is then the next one.
    numbers = dict.fromkeys(loops, _WARM)
    for _ in range(bench.turns):
        for name, step in loops.items():
            for attempt in range(_ATTEMPTS):
                step(numbers[name])  # the other loop has had the memory
                before = float(rate_of_machine(0))
                speed = _speed(step, numbers[name] + 1, bench.steps, place.device)
                after = float(rate_of_machine(0))
                numbers[name] += bench.steps + 1
                spoilt = bool(largest(place, int(moved(before, after)))[0])
                noisy += spoilt
                if not spoilt or attempt == _ATTEMPTS - 1:
                    speeds[name].append(speed)
                    rates += [before, after]
                    break
            bar.update()
    bar.close()
    medians = {name: statistics.median(values) for name, values in speeds.items()}
    flops = matmul_flops_per_token(run.electra, bench.length)
    rate = statistics.median(rates)
    return {
        "settings": asdict(bench),
        "hardware": hardware_name(),
        "numbers": str(dtype).removeprefix("torch."),
        "processes": place.world,
        "threads": torch.get_num_threads(),
        "tokens_per_second": medians,
        "all": speeds,
        "ratio": medians["engine"] / max(medians["reference"], 1e-9),
        "megaflops_per_token": flops / 1e6,
        "matmul_teraflops": rate / 1e12,
        "utilisation": medians["engine"] * flops / max(rate, 1e-9),
        "noisy_turns": noisy,
    }


def table(figures: dict[str, Any]) -> str:
    """The figures as Markdown."""
    speeds = figures["tokens_per_second"]
    lines = [
        f"{figures['hardware']}, engine on {figures['processes']} process(es) of {figures['threads']} "
        f"thread(s), {figures['numbers']}; "
        f"matrix rate {figures['matmul_teraflops']:.3f} TFLOP/s; {figures['noisy_turns']} noisy "
        "turns repeated",
        "",
        "| loop | tokens/s | ratio |",
        "| --- | --- | --- |",
        "| reference (Hugging Face modules, full head, padded rows, float32) | "
        f"{speeds['reference']:,.0f} | 1.0 |",
        f"| this engine | {speeds['engine']:,.0f} | {figures['ratio']:.1f} |",
        "",
        f"The engine does {figures['megaflops_per_token']:.1f} MFLOP a token: "
        f"{figures['utilisation']:.0%} of the "
        "matrix rate.",
    ]
    return "\n".join(lines)


def _speed(step: Step, first: int, steps: int, device: torch.device) -> float:
    begun = time.perf_counter()
    tokens = float(sum(step(first + offset) for offset in range(steps)))
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return tokens / (time.perf_counter() - begun)


def moved(before: float, after: float) -> bool:
    """Whether two rates of a machine differ by more than the tolerance: it was not quiet between them."""
    return abs(before - after) > _TOLERANCE * max(before, after)


def _alone(work: Step, place: Place) -> Step:
    """``work`` on the first process with all cores, while the others wait and return 0."""

    def step(number: int) -> Tokens:
        done: Tokens = 0.0
        if place.first:
            threads = torch.get_num_threads()
            torch.set_num_threads(len(os.sched_getaffinity(0)))
            return_freed_memory()  # what the engine asks for is no part of the reference
            done = work(number)
            keep_freed_memory()
            torch.set_num_threads(threads)
        if place.world > 1:
            distributed.barrier()
        return done

    return step


def _together(work: Step) -> Step:
    """``work`` on all processes; returns the tokens of all."""

    def step(number: int) -> Tokens:
        done = torch.as_tensor(work(number))
        if distributed.is_initialized():
            distributed.all_reduce(done)
        return done

    return step


def _engine(bench: PretrainBench, shards: Path, tokenizer: Path, scratch: Path, place: Place) -> Run:
    config = PretrainConfig(
        preset=bench.preset,  # type: ignore[arg-type]
        model=bench.model | {"generator_layers": None},
        phases=(PhaseConfig(steps=10**6, length=bench.length, rows=bench.rows),),
        warmup_steps=100,
        compile=bench.compile,
        cuda_graphs=bench.cuda_graphs,
        native_kernels=bench.native_kernels,
    )
    run = set_up(config, shards, tokenizer, scratch / "engine", place)
    run.model.train()
    return run


def _engine_step(run: Run, prefetcher: Prefetcher) -> Step:
    context = autocast(run.config.numbers, run.place.device)
    update = updater(run, context)

    def step(number: int) -> Tokens:
        batch = prefetcher.get(number)
        update(batch)
        return (batch.segments > 0).sum().float()

    return step


def _reference_step(run: Run, bench: PretrainBench) -> Step:
    config = replace(run.electra, embedding_sharing="shared")
    device = run.place.device
    discriminator = ElectraForPreTraining(discriminator_config(config)).to(device).train()
    generator = ElectraForMaskedLM(generator_config(config)).to(device).train()
    # What users do by hand: one table for both, and under the generator's output.
    discriminator.electra.embeddings = generator.electra.embeddings
    parameters = {id(p): p for network in (generator, discriminator) for p in network.parameters()}
    optimizer = torch.optim.AdamW(parameters.values(), lr=5e-4)
    rows = _padded_rows(run.shards, bench, run.special.cls, run.special.sep, run.special.pad)

    def step(number: int) -> Tokens:
        ids = next(rows).to(device)
        real = ids != run.special.pad
        maskable = (real & (ids != run.special.cls) & (ids != run.special.sep)).cpu().numpy()
        random = np.random.default_rng(number)
        chosen = choose_masked(
            maskable, real.sum(1).cpu().numpy(), 0.15, config.masked_positions(bench.length), random
        )
        picked = np.zeros(ids.shape, bool)
        np.put_along_axis(picked, chosen.positions, chosen.weights > 0, 1)
        where = torch.from_numpy(picked).to(device)
        masked = ids.masked_fill(where, run.special.mask)
        attention = real.long()
        labels = ids.masked_fill(~where, -100)
        output = generator(input_ids=masked, attention_mask=attention, labels=labels)
        with torch.no_grad():
            noise = -torch.log(-torch.log(torch.rand_like(output.logits[where]) + 1e-9) + 1e-9)
            sampled = (output.logits[where] + noise).argmax(-1)
        corrupted = ids.clone()
        corrupted[where] = sampled
        judged = discriminator(
            input_ids=corrupted, attention_mask=attention, labels=(corrupted != ids).long()
        )
        (output.loss + 50 * judged.loss).backward()
        torch.nn.utils.clip_grad_norm_(parameters.values(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        return float(real.sum())

    return step


def _padded_rows(
    shards: TokenShards, bench: PretrainBench, cls: int, sep: int, pad: int
) -> Iterator[torch.Tensor]:
    """Batches of one document a row, cut at the length and padded to it, for ever."""
    batch: list[np.ndarray] = []
    while True:
        for handle in shards.documents("train"):
            text = shards.read(handle)[: bench.length - 2].astype(np.int64)
            row = np.full(bench.length, pad, np.int64)
            row[: len(text) + 2] = np.concatenate([[cls], text, [sep]])
            batch.append(row)
            if len(batch) == bench.rows:
                yield torch.from_numpy(np.stack(batch))
                batch = []
