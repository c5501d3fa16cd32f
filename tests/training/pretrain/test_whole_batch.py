"""128 rows are one batch however they are computed: at once, 4 x 32 accumulated, 64 on each of 2 processes.

In float32, as training runs without autocast; the losses of 128 rows come out within 2e-7 of each other.
"""

import dataclasses
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.training.pretrain.run_here import tiny_config
from training.electra.losses import Batch
from training.pretrain.config import PhaseConfig
from training.pretrain.place import Place, autocast
from training.pretrain.rows import RowSource
from training.pretrain.setup import Run, set_up
from training.pretrain.update import compute

ROWS, LENGTH = 128, 32

TWO_PROCESSES = """
import os, sys
from pathlib import Path
import torch
from torch import distributed
from torch.nn.parallel import DistributedDataParallel
from tests.training.pretrain.test_whole_batch import computed, fresh
from training.pretrain.place import Place
from training.pretrain.shared_copies import SharedCopies

torch.set_num_threads(1)
root, rank = Path(sys.argv[1]), int(sys.argv[2])
distributed.init_process_group("gloo", init_method=f"file://{root}/meet", rank=rank, world_size=2)
# Two processes of one host, then as if they were of two.
for local, kind in (("2", SharedCopies), ("1", DistributedDataParallel)):
    os.environ["LOCAL_WORLD_SIZE"] = local
    run = fresh(root, kind.__name__, Place(rank, 2, torch.device("cpu")))
    assert isinstance(run.wrapped, kind)
    torch.save(computed(run), root / f"{kind.__name__}-{rank}.pt")
distributed.destroy_process_group()
"""


class Ragged(RowSource):
    """Rows that are shorter the later they come, so that no two parts of a batch count the same."""

    def rows(self, start: int, count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        ids, segments, positions = super().rows(start, count)
        empty = np.arange(LENGTH) >= LENGTH - (start + np.arange(count))[:, None] * 24 // ROWS
        ids[empty], segments[empty], positions[empty] = -3, 0, 0
        return ids, segments, positions


def fresh(root: Path, name: str, place: Place, **changes: object) -> Run:
    """A run without dropout, whose draws depend on how rows are spread."""
    config = tiny_config(numbers="float32", **changes)
    model = config.model | {"hidden_dropout": 0.0, "attention_dropout": 0.0}
    phases = (PhaseConfig(steps=8, length=LENGTH, rows=ROWS),)
    config = dataclasses.replace(config, model=model, phases=phases)
    run = set_up(config, root / "shards", root / "tokenizer", root / name, place)
    run.model.train()
    # Twenty words share the probability: with thousands a rounding would now and then draw the next one.
    with torch.no_grad():
        run.model.generator_head.bias[5:25] = 20.0
    return run


def batch_of(run: Run) -> Batch:
    """What this process has of the 128 rows."""
    source = Ragged(run.shards, "train", LENGTH, seed=0)
    maker = dataclasses.replace(run.makers[0], source=source)
    return maker.make(0, 0, ROWS, run.place.rank, run.place.world)


def computed(run: Run) -> dict[str, torch.Tensor]:
    """Losses of the batch, and by name the gradients that Adam would get; NaN where other processes do."""
    found: dict[str, torch.Tensor] = {}

    def keep() -> None:
        for name, parameter in run.model.named_parameters():
            assert parameter.grad is not None
            whole = torch.full((parameter.numel(),), float("nan"))
            mine = slice(None) if run.optimizer.parts is None else run.optimizer.parts[parameter]
            whole[mine] = parameter.grad.view(-1)[mine]
            found[name] = whole.view(parameter.shape)

    run.optimizer.step = keep  # type: ignore[method-assign, assignment]
    return compute(run, batch_of(run), autocast("float32", run.place.device)) | found


def at_once(root: Path, **changes: object) -> dict[str, torch.Tensor]:
    """On one process."""
    return computed(fresh(root, str(changes), Place(0, 1, torch.device("cpu")), **changes))


@pytest.fixture(scope="module")
def whole(prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, torch.Tensor]:
    """All 128 rows at once."""
    return at_once(linked(prepared, tmp_path_factory.mktemp("whole")))


@pytest.fixture(scope="module")
def spread(prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What two processes found, which exchange gradients in either way."""
    root = linked(prepared, tmp_path_factory.mktemp("spread"))
    (root / "two.py").write_text(TWO_PROCESSES, encoding="utf-8")
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": os.getcwd()}
    running = [
        subprocess.Popen([sys.executable, root / "two.py", root, str(rank)], env=environment)
        for rank in range(2)
    ]
    try:
        assert [process.wait(timeout=240) for process in running] == [0, 0]
    finally:
        for process in running:
            process.kill()
    return root


def linked(prepared: Path, root: Path) -> Path:
    for part in ("tokenizer", "shards"):
        (root / part).symlink_to(prepared / part)
    return root


def assert_the_same(found: dict[str, torch.Tensor], whole: dict[str, torch.Tensor]) -> None:
    assert found.keys() == whole.keys()
    for name, expected in whole.items():
        # A gradient is a sum in which much cancels out: it is kept to its tensor's size.
        bound = 1e-6 * abs(float(expected)) if expected.dim() == 0 else 1e-5 * float(expected.abs().max())
        assert float((found[name] - expected).abs().max()) <= bound, name


def test_the_rows_are_such_that_parts_of_them_count_differently(root: Path) -> None:
    batch = batch_of(fresh(root, "run", Place(0, 1, torch.device("cpu"))))
    tokens = (batch.segments > 0).sum(1)
    masked = batch.masked_weights.view(ROWS, -1).sum(1)
    for counts in (tokens, masked):
        assert counts.view(4, 32).sum(1).unique().numel() == 4
        assert counts[::2].sum() != counts[1::2].sum()


def test_four_times_32_rows_accumulated(
    prepared: Path, tmp_path: Path, whole: dict[str, torch.Tensor]
) -> None:
    assert_the_same(at_once(linked(prepared, tmp_path), micro_rows=32), whole)


@pytest.mark.timeout(300)
@pytest.mark.parametrize("kind", ["SharedCopies", "DistributedDataParallel"])
def test_64_rows_on_each_of_two_processes(spread: Path, whole: dict[str, torch.Tensor], kind: str) -> None:
    one, two = (torch.load(spread / f"{kind}-{rank}.pt") for rank in range(2))
    together = {name: part.where(~part.isnan(), two[name]) for name, part in one.items()}
    # Each process has its share of the losses, and the norm of all gradients.
    shares = {name: one[name] + two[name] for name in one if one[name].dim() == 0 and name != "gradient_norm"}
    assert_the_same(together | shares, whole)
