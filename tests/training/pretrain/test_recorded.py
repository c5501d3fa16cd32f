"""Recorded updates, with a stand-in for the graph: what a replay reads and counts is alike on any device."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import torch

from tests.training.pretrain.run_here import prepare, tiny_config
from training.pretrain import recorded
from training.pretrain.config import PhaseConfig
from training.pretrain.loop import make_batch
from training.pretrain.place import Place, autocast
from training.pretrain.recorded import BEFORE, RecordedUpdates, Totals, Work, updater
from training.pretrain.setup import Run, set_up

CONFIG = dataclasses.replace(
    tiny_config(),
    # Three shapes, and the first one again; the last differs in the number of masked positions alone.
    phases=(
        PhaseConfig(steps=6, length=32, rows=8),
        PhaseConfig(steps=5, length=64, rows=4),
        PhaseConfig(steps=2, length=32, rows=8),
        PhaseConfig(steps=4, length=32, rows=8, mask_rate=0.3),
    ),
    numbers="float32",
)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return prepare(tmp_path_factory.mktemp("recorded"))


def fresh(root: Path, directory: Path, **changes: object) -> Run:
    config = dataclasses.replace(CONFIG, **changes)
    run = set_up(config, root / "shards", root / "tokenizer", directory, Place(0, 1, torch.device("cpu")))
    run.model.train()
    return run


class StandIn:
    """Records without launching, as a graph does; a replay works on the same tensors and totals."""

    def __init__(self) -> None:
        self.recordings = 0
        self.replays = 0

    def __call__(self, work: Work) -> Work:
        self.recordings += 1
        totals: Totals = {}

        def replay() -> Totals:
            self.replays += 1
            for name, value in work().items():
                totals.setdefault(name, torch.zeros_like(value)).copy_(value)
            return totals

        return replay


def train(run: Run, one: object) -> list[float]:
    assert callable(one)
    losses = []
    for step in range(run.config.total_steps):
        run.step = step
        losses.append(float(one(make_batch(run, step))["loss"]))
    return losses


def test_replays_are_the_updates_themselves(root: Path, tmp_path: Path) -> None:
    plain = fresh(root, tmp_path / "plain")
    context = autocast("float32", plain.place.device)
    expected = train(plain, updater(plain, context))
    run, stand_in = fresh(root, tmp_path / "recorded"), StandIn()
    losses = train(run, RecordedUpdates(run, context, _counting(run, stand_in)))
    # The rate is a float32 tensor here and a Python float there: equal but for rounding.
    assert losses == pytest.approx(expected, rel=1e-4)
    for (name, one), two in zip(plain.model.named_parameters(), run.model.parameters(), strict=True):
        torch.testing.assert_close(two, one, rtol=1e-3, atol=1e-5, msg=name)
    assert stand_in.recordings == 3  # a shape that comes back is not recorded again
    assert stand_in.replays == (6 - BEFORE) + (5 - BEFORE) + 2 + (4 - BEFORE)
    assert run.tokens == plain.tokens
    for one, two in zip(plain.optimizer.param_groups, run.optimizer.param_groups, strict=True):
        assert (two["step"], two["lr"]) == (one["step"], one["lr"])


def _counting(run: Run, stand_in: StandIn):
    """A real recording runs the Python code of a step once, which counts; so does this."""

    def record(work: Work) -> Work:
        run.optimizer.count()
        replay = stand_in(work)

        def silent() -> Totals:
            steps = [group["step"] for group in run.optimizer.param_groups]
            totals = replay()
            for group, step in zip(run.optimizer.param_groups, steps, strict=True):
                group["step"] = step  # a graph runs no Python
            return totals

        return silent

    return record


def test_the_caller_keeps_its_batch(root: Path, tmp_path: Path) -> None:
    run = fresh(root, tmp_path / "run")
    one = RecordedUpdates(run, autocast("float32", run.place.device), StandIn())
    batches = [make_batch(run, step) for step in range(5)]
    copies = [batch.ids.clone() for batch in batches]
    for step, batch in enumerate(batches):
        run.step = step
        one(batch)
    assert all(torch.equal(batch.ids, copy) for batch, copy in zip(batches, copies, strict=True))


@pytest.mark.parametrize(
    ("place", "changes", "expected"),
    [
        (Place(0, 1, torch.device("cuda")), {}, True),
        (Place(0, 1, torch.device("cpu")), {}, False),
        (Place(0, 2, torch.device("cuda")), {}, False),
        (Place(0, 1, torch.device("cuda")), {"cuda_graphs": False}, False),
        (Place(0, 1, torch.device("cuda")), {"bias_correction": True}, False),
    ],
)
def test_where_updates_are_recorded(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: Place, changes: dict, expected: bool
) -> None:
    run = fresh(root, tmp_path / "run", **changes)
    run.place = place
    made = []
    monkeypatch.setattr(recorded, "RecordedUpdates", lambda *_: made.append(1))
    monkeypatch.setattr(torch.cuda, "graph_pool_handle", lambda: None)
    updater(run, autocast("float32", torch.device("cpu")))
    assert bool(made) is expected


@pytest.mark.skipif(not torch.cuda.is_available(), reason="a graph needs a GPU")
def test_a_graph_is_the_updates_themselves(root: Path, tmp_path: Path) -> None:
    place = Place(0, 1, torch.device("cuda"))
    model = CONFIG.model | {"hidden_dropout": 0.0, "attention_dropout": 0.0}

    def losses(graphs: bool) -> list[float]:
        config = dataclasses.replace(CONFIG, model=model, cuda_graphs=graphs)
        run = set_up(config, root / "shards", root / "tokenizer", tmp_path / str(graphs), place)
        run.model.train()
        context = autocast("float32", place.device)
        one = updater(run, context)
        assert isinstance(one, RecordedUpdates) is graphs
        found = train(run, one)
        assert run.optimizer.param_groups[0]["step"] == config.total_steps
        return found

    assert losses(True) == pytest.approx(losses(False), rel=1e-4)
