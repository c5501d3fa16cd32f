"""What a run leaves to look at: ``log.jsonl``, TensorBoard files, and ``curves.png``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from training.files import atomic_file

# Axis title -> keys drawn in it.
_PANELS = {
    "joint loss": ("loss", "heldout/loss"),
    "generator loss (nats per masked token)": (
        "generator_loss",
        "heldout/generator_loss",
        "heldout/frequency_loss",
    ),
    "generator accuracy": ("heldout/generator_accuracy", "heldout/generator_sampled_accuracy"),
    "discriminator": ("heldout/auroc", "heldout/average_precision", "heldout/balanced_accuracy"),
    "gradient norm": ("gradient_norm",),
    "learning rate": ("learning_rate",),
    "tokens per second": ("tokens_per_second",),
    "share of the machine's matrix rate": ("flop_utilisation",),
}


class RunLog:
    """Appends records; a resumed run continues the same files, without records after the step it resumes
    from.
    """

    def __init__(self, directory: Path, from_step: int) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self._path = directory / "log.jsonl"
        self._picture = directory / "curves.png"
        kept = [record for record in read_log(self._path) if record["step"] <= from_step]
        if self._path.exists():
            with atomic_file(self._path, "w", encoding="utf-8") as stream:
                stream.writelines(json.dumps(record) + "\n" for record in kept)
        self._stream = self._path.open("a", encoding="utf-8", buffering=1)
        from torch.utils.tensorboard import SummaryWriter

        self._board = SummaryWriter(
            str(directory / "tensorboard"), purge_step=from_step + 1 if from_step else None
        )

    def write(self, step: int, values: dict[str, Any]) -> None:
        """Append one record."""
        self._stream.write(json.dumps({"step": step, **values}) + "\n")
        for key, value in values.items():
            if isinstance(value, int | float):
                self._board.add_scalar(key, value, step)

    def draw(self) -> None:
        """Draw the curves of everything logged so far."""
        draw_curves(read_log(self._path), self._picture)

    def close(self) -> None:
        """Flush and close all files."""
        self._stream.close()
        self._board.close()


def read_log(path: Path) -> list[dict[str, Any]]:
    """All whole records of a log; a last line cut off by a kill is left out."""
    records: list[dict[str, Any]] = []
    if path.is_file():
        for line in path.read_text(encoding="utf-8").splitlines():
            try:
                records.append(json.loads(line))
            except json.JSONDecodeError:
                continue
    return records


def draw_curves(records: list[dict[str, Any]], picture: Path) -> None:
    """Write ``curves.png``: losses, accuracies, discriminator quality, gradient norm, learning rate and speed
    over steps.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(16, 7.5), layout="constrained")
    for axis, (title, keys) in zip(figure.subplots(2, 4).flat, _PANELS.items(), strict=True):
        for key in keys:
            points = [(record["step"], record[key]) for record in records if record.get(key) is not None]
            if points:
                axis.plot(
                    *zip(*points, strict=True),
                    label=key,
                    marker="." if len(points) < 40 else None,
                    linewidth=1,
                )
        axis.set_title(title, fontsize=10)
        axis.set_xlabel("step", fontsize=8)
        axis.grid(alpha=0.3)
        if axis.lines:
            axis.legend(fontsize=7)
    with atomic_file(picture) as stream:
        figure.savefig(stream, format="png", dpi=110)
