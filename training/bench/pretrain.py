"""Training speed: this engine beside the loop that its users would otherwise write.

The reference loop is what public reproductions do with Hugging Face modules: ``ElectraForMaskedLM`` and
``ElectraForPreTraining``, the vocabulary head on every position, float32, one document a row padded to the
full length, AdamW. Speed is counted in real tokens, padding left out, for both.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tqdm import tqdm
from transformers import ElectraForMaskedLM, ElectraForPreTraining

from training.bench.noise import matmul_rate, moved
from training.corpus.shards import TokenShards
from training.electra.flops import matmul_flops_per_token
from training.electra.huggingface import discriminator_config, generator_config
from training.electra.masking import choose_masked
from training.pretrain.config import PhaseConfig, PretrainConfig
from training.pretrain.hardware import Place, autocast, hardware_name, native_bfloat16
from training.pretrain.loop import make_batch, update
from training.pretrain.setup import Run, set_up
from training.rehearsal import write_synthetic_shards

_ATTEMPTS = 4  # turns that a noisy machine may spoil before one is taken as it is


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


Step = Callable[[int], int]
"""Runs update number ``n``; returns the real tokens in it."""


def measure(
    bench: PretrainBench, shards: Path | None, tokenizer: Path | None, scratch: Path
) -> dict[str, Any]:
    """Both loops in turns on the same shards; medians, ratio, and the share of the machine's matrix rate."""
    if shards is None or tokenizer is None:
        tokenizer, shards = write_synthetic_shards(scratch, bench.vocab_size)
    run = _engine(bench, shards, tokenizer, scratch)
    device = run.place.device
    loops = {"reference": _reference_step(run, bench), "engine": _engine_step(run)}
    dtype = torch.bfloat16 if native_bfloat16(device) else torch.float32
    speeds: dict[str, list[float]] = {name: [] for name in loops}
    rates: list[float] = []
    noisy = 0
    bar = tqdm(total=bench.turns * len(loops), desc="bench", unit="turn")
    for name, step in loops.items():
        step(0)  # first touches: allocation, compilation
        bar.write(f"{name}: warm")
    number = 1
    for _ in range(bench.turns):
        for name, step in loops.items():
            for attempt in range(_ATTEMPTS):
                before = matmul_rate(dtype, device)
                speed = _speed(step, number, bench.steps, device)
                after = matmul_rate(dtype, device)
                number += bench.steps
                spoilt = moved(before, after)
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
        "threads": torch.get_num_threads(),
        "tokens_per_second": medians,
        "all": speeds,
        "ratio": medians["engine"] / medians["reference"],
        "megaflops_per_token": flops / 1e6,
        "matmul_teraflops": rate / 1e12,
        "utilisation": medians["engine"] * flops / rate,
        "noisy_turns": noisy,
    }


def table(figures: dict[str, Any]) -> str:
    """The figures as Markdown."""
    speeds = figures["tokens_per_second"]
    lines = [
        f"{figures['hardware']}, {figures['threads']} threads, {figures['numbers']}; "
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
    tokens = sum(step(first + offset) for offset in range(steps))
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return tokens / (time.perf_counter() - begun)


def _engine(bench: PretrainBench, shards: Path, tokenizer: Path, scratch: Path) -> Run:
    config = PretrainConfig(
        preset=bench.preset,  # type: ignore[arg-type]
        model=bench.model | {"generator_layers": None},
        phases=(PhaseConfig(steps=10**6, length=bench.length, rows=bench.rows),),
        warmup_steps=100,
        compile=bench.compile,
    )
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    run = set_up(config, shards, tokenizer, scratch / "engine", Place(0, 1, device))
    run.model.train()
    return run


def _engine_step(run: Run) -> Step:
    context = autocast(run.config.numbers, run.place.device)

    def step(number: int) -> int:
        batch = make_batch(run, number)
        update(run, batch, context)
        return int((batch.segments > 0).sum())

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

    def step(number: int) -> int:
        ids = next(rows).to(device)
        real = ids != run.special.pad
        maskable = (real & (ids != run.special.cls) & (ids != run.special.sep)).cpu().numpy()
        random = np.random.default_rng(number)
        chosen = choose_masked(
            maskable, real.sum(1).cpu().numpy(), 0.15, config.masked_positions(bench.length), random
        )
        where = torch.zeros_like(ids, dtype=torch.bool)
        for row in range(len(ids)):
            where[row, torch.from_numpy(chosen.positions[row][chosen.weights[row] > 0])] = True
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
        return int(real.sum())

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
