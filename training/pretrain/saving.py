"""What a run writes: checkpoints on the way, both networks as Hugging Face directories at the end."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import distributed

from training.electra.flops import matmul_flops_per_token
from training.electra.huggingface import quiet_hub, to_discriminator, to_generator
from training.files import atomic_directory, atomic_file
from training.pretrain import checkpoint as checkpoints
from training.pretrain.parallel import whole_model, whole_tensors
from training.pretrain.setup import Run, identity
from training.pretrain.warmstart import RECORD
from training.tokenizer import load_tokenizer, save_tokenizer


def save(run: Run) -> None:
    """Write a checkpoint of ``run.step`` unless that was done; all processes call this, the first writes."""
    if run.saved_step == run.step:
        return
    run.saved_step = run.step
    weights = whole_tensors(checkpoints.model_tensors(run.model), run.place.first)
    moments = whole_tensors(checkpoints.optimizer_tensors(run.model, run.optimizer), run.place.first)
    if not run.place.first:
        return
    random = {"torch": torch.get_rng_state()}
    if run.place.device.type == "cuda":
        random["cuda"] = torch.cuda.get_rng_state()
    directory = run.directory / "checkpoints"
    number, since = run.position
    checkpoints.save_checkpoint(
        directory,
        run.step,
        weights,
        moments,
        random,
        {
            "identity": identity(run),
            "tokens": run.tokens,
            "hardware": run.hardware,
            "before": run.before,
            "position": {"phase": number, "row": since * run.config.phases[number].rows},
            "history": [(step, health.to_dict()) for step, health in run.history],
            "group_steps": [group.get("step", 0) for group in run.optimizer.param_groups],
            "config": asdict(run.config),
        },
    )
    checkpoints.prune(directory, run.config.keep_last)


def finish(run: Run) -> Path:
    """Write both networks as Hugging Face directories, with the tokenizer and a record of the run beside
    them.
    """
    target = run.directory / "pretrained"
    model = whole_model(run.model, run.place.first)
    if run.place.first:
        with atomic_directory(target) as temporary:
            tokenizer = load_tokenizer(run.tokenizer_path)
            for name, network in (
                ("discriminator", to_discriminator(model)),
                ("generator", to_generator(model)),
            ):
                with quiet_hub():
                    network.save_pretrained(temporary / name)
                save_tokenizer(tokenizer, temporary / name)
            before = run.before
            record: dict[str, Any] = {
                # Updates of this run; what follows is of the run whose weights it started from, too.
                "steps": run.step,
                "tokens_seen": run.tokens + before.get("tokens_seen", 0),
                "hardware": ", then ".join(dict.fromkeys([*before.get("hardware", []), *run.hardware])),
                "matmul_flops": _all_flops(run),
                "corpus_digest": run.shards.manifest.get(
                    "content_sha256", run.shards.manifest["parameters_digest"]
                ),
                **{key: before[key] for key in ("licence", "data") if key in before},
                "text": list(dict.fromkeys([*before.get("text", []), *_sources(run.shards.manifest)])),
                "heldout": run.history[-1][1].to_dict() if run.history else None,
                "config": asdict(run.config),
            }
            with atomic_file(temporary / RECORD, "w", encoding="utf-8") as stream:
                json.dump(record, stream, indent=1)
    if run.place.world > 1:
        distributed.barrier()
    return target


def _sources(manifest: dict[str, Any]) -> list[str]:
    """A line of a model card for each source of the shards, without what was held out of it."""
    return [
        f"{name}: {source['documents'] - source['heldout_documents']} documents, "
        f"{source['tokens'] - source['heldout_tokens']} tokens of pretraining text"
        for name, source in manifest["sources"].items()
    ]


def _all_flops(run: Run) -> float | None:
    """Of this run and of what it started from; None where that is not known."""
    earlier: float | None = run.before.get("matmul_flops", 0.0)
    if earlier is None:
        return None
    return earlier + sum(
        phase.steps * phase.rows * phase.length * matmul_flops_per_token(run.electra, phase.length)
        for phase in run.config.phases
    )
