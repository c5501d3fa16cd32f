"""What pretraining brought: the same tasks from a checkpoint and from random weights of the same shape.

Every figure stands beside TF-IDF + logistic regression on the same rows: without it, nobody can say whether a
network was worth its training.
"""

from __future__ import annotations

import filecmp
import hashlib
import json
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from training.config import from_mapping
from training.errors import UserError
from training.files import atomic_directory, atomic_file
from training.finetune.config import FinetuneConfig
from training.yaml_files import read_filled

# A network that starts from random weights needs the full rate in every layer.
_FRESH_DECAY = 1.0


@dataclass(frozen=True)
class TaskSuite:
    """A YAML file of tasks: ``defaults`` and, per task, the keys of `finetune` without `checkpoint`."""

    # Task name -> keys of `finetune`; they win over `defaults`.
    tasks: dict[str, dict[str, Any]]
    # Keys of `finetune` for all tasks.
    defaults: dict[str, Any] = field(default_factory=dict)
    # Values for `${name}` in this file.
    variables: dict[str, str] = field(default_factory=dict)

    def config(self, task: str, checkpoint: Path, **more: Any) -> FinetuneConfig:
        """The fine-tuning of one task from one checkpoint."""
        values = {"checkpoint": str(checkpoint), **self.defaults, **self.tasks[task], **more}
        return from_mapping(FinetuneConfig, values, f"tasks.{task}")


def read_suite(path: Path, overrides: Mapping[str, str] | None = None) -> TaskSuite:
    """Read and check a suite.

    Raises:
        UserError: see ``read_filled``; any unknown, missing or ill-typed key.
    """
    suite = from_mapping(TaskSuite, read_filled(path, overrides), str(path))
    for task in suite.tasks:
        if not suite.config(task, Path("checkpoint")).test:
            raise UserError(f"{path}: tasks.{task}.test: missing; a figure needs a test set")
    return suite


def measure_tasks(
    suite: TaskSuite,
    checkpoint: Path,
    output: Path,
    *,
    only: list[str] | None = None,
    fresh: bool = True,
    progress: bool = True,
    report: Callable[[str], None] = print,
) -> dict[str, Any]:
    """Fine-tune every task from ``checkpoint`` and from random weights; write tasks.json and tasks.md.

    What was finished before is not trained again; the files are written after every task, and hold the tasks
    of earlier calls too, as long as the checkpoint is the same.

    Raises:
        UserError: see ``finetune``; ``only`` names no task.
    """
    from training.finetune.finetune import finetune

    unknown = set(only or []) - set(suite.tasks)
    if unknown:
        raise UserError(f"--only {sorted(unknown)[0]}: the suite has {', '.join(suite.tasks)}")
    starts: dict[str, tuple[Path, dict[str, Any]]] = {"pretrained": (checkpoint, {})}
    if fresh:
        fresh_checkpoint(checkpoint, output / "fresh")
        starts["fresh"] = (output / "fresh", {"layer_decay": _FRESH_DECAY, "baselines": False})
    weights = _digest(checkpoint)
    figures = _earlier(output / "tasks.json", suite, weights)
    for task in only or list(suite.tasks):
        found: dict[str, Any] = {"checkpoint": weights}
        for start, (directory, changes) in starts.items():
            report(f"== {task}, {start}")
            config = suite.config(task, directory, **changes)
            found[start] = _figures(finetune(config, output / task / start, progress=progress))
        found["tfidf"] = found["pretrained"].pop("tfidf")
        figures[task] = found
        with atomic_file(output / "tasks.json", "w", encoding="utf-8") as stream:
            json.dump(figures, stream, ensure_ascii=False, indent=1)
        with atomic_file(output / "tasks.md", "w", encoding="utf-8") as stream:
            stream.write(table(figures) + "\n")
    return figures


def fresh_checkpoint(like: Path, directory: Path, seed: int = 0) -> None:
    """The architecture and tokenizer of ``like`` with weights as they are before pretraining.

    One that is there is kept if it is of the same architecture and tokenizer.
    """
    import torch
    from transformers import ElectraForPreTraining

    from training.finetune.model import read_config

    tokenizer = [f for f in like.iterdir() if f.name.startswith("tokenizer") or f.name == "vocab.txt"]
    if (
        (directory / "model.safetensors").is_file()
        and _architecture(directory) == _architecture(like)
        and filecmp.cmpfiles(like, directory, [file.name for file in tokenizer], shallow=False)[1:]
        == ([], [])
    ):
        return
    with torch.random.fork_rng(), atomic_directory(directory) as made:
        torch.manual_seed(seed)
        ElectraForPreTraining(read_config(like)).save_pretrained(made)
        for file in tokenizer:
            shutil.copy2(file, made / file.name)


def _architecture(checkpoint: Path) -> dict[str, Any]:
    """Its configuration without what saving adds."""
    from training.finetune.model import read_config

    values = read_config(checkpoint).to_dict()
    return {
        key: value
        for key, value in values.items()
        if key not in ("architectures", "dtype", "transformers_version")
    }


def _digest(checkpoint: Path) -> str:
    """Of a checkpoint's weights and configuration."""
    digest = hashlib.sha256()
    for name in ("config.json", "model.safetensors"):
        if (checkpoint / name).is_file():  # `finetune` says what is missing
            digest.update((checkpoint / name).read_bytes())
    return digest.hexdigest()


def _earlier(file: Path, suite: TaskSuite, weights: str) -> dict[str, Any]:
    """Figures of earlier calls with the same weights."""
    try:
        figures = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return {
        task: figures[task]
        for task in suite.tasks
        if task in figures and figures[task].get("checkpoint") == weights
    }


def _figures(report: dict[str, Any]) -> dict[str, Any]:
    metric, runs = report["metric"], report["seeds"]
    linear = report.get("baselines", {}).get("tfidf_logistic", {}).get("test")
    return {
        "metric": metric,
        "mean": report["test_mean"][metric],
        "deviation": report["test_std"][metric],
        "seeds": len(runs),
        "failed": report["failed"],
        "train_rows": report["rows"]["train"],
        "seconds": sum(run["seconds"] for run in runs),
        "tfidf": linear and linear[metric],
    }


def table(figures: Mapping[str, Any]) -> str:
    """Markdown: one task a line, figures in percent, the deviation over seeds behind them."""
    lines = [
        "| task | metric | rows | seeds | pretrained | without pretraining | TF-IDF + LR |",
        "| --- | --- | --: | --: | --: | --: | --: |",
    ]
    for task, found in figures.items():
        of = found["pretrained"]
        cells = [_cell(found.get(start)) for start in ("pretrained", "fresh")]
        linear = "" if found["tfidf"] is None else f"{100 * found['tfidf']:.1f}"
        rows = [task, of["metric"], f"{of['train_rows']:,}", str(of["seeds"]), *cells, linear]
        lines.append(f"| {' | '.join(rows)} |")
    return "\n".join(lines)


def _cell(found: Mapping[str, Any] | None) -> str:
    if found is None:
        return ""
    failed = f", {found['failed']} failed" if found["failed"] else ""
    return f"{100 * found['mean']:.1f} ± {100 * found['deviation']:.1f}{failed}"


def rehearse(folder: Path) -> dict[str, Any]:
    """The whole measurement on made-up reviews with a very small model."""
    from training.finetune.dry_run import reviews, tiny_checkpoint

    checkpoint = tiny_checkpoint(folder / "checkpoint")
    keys: dict[str, Any] = {"epochs": 1.0, "max_tokens": 32, "seeds": [0, 1]}
    for split, count in (("train", 64), ("dev", 24), ("test", 24)):
        lines = ["label\ttext", *(f"{label}\t{text}" for label, text in reviews(count, seed=count))]
        (folder / f"{split}.tsv").write_text("\n".join(lines) + "\n", encoding="utf-8")
        keys[split] = [str(folder / f"{split}.tsv")]
    return measure_tasks(TaskSuite({"reviews": keys}), checkpoint, folder / "tasks", progress=False)
