"""Nothing is lost: kills, stops, damaged and full disks."""

import dataclasses
import os
import random
import signal
import subprocess
import sys
import time
from dataclasses import fields
from pathlib import Path

import pytest
import torch

from tests.training.pretrain.run_here import tiny_config, train, weights
from tests.training.test_files import FULL_DISK
from training.errors import Stopped, UserError
from training.pretrain import checkpoint as checkpoints
from training.pretrain import loop, recorded
from training.pretrain.config import PhaseConfig
from training.pretrain.health import Health


def assert_same(one: dict[str, torch.Tensor], two: dict[str, torch.Tensor]) -> None:
    assert one.keys() == two.keys()
    for name, tensor in one.items():
        assert torch.equal(tensor, two[name]), name


def process(root: Path, steps: int) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "tests.training.pretrain.run_here", str(root), str(steps)]
    return subprocess.Popen(
        command, env=os.environ | {"OMP_NUM_THREADS": "1"}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )


def test_stopped_twice_and_resumed_ends_with_identical_weights(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = weights(train(root, "whole", steps=6))
    for stop_after in (2, 4):
        original = recorded.update

        def update(run, *args, stop_after=stop_after, original=original):
            if run.step + 1 == stop_after:
                os.kill(os.getpid(), signal.SIGTERM)
            return original(run, *args)

        monkeypatch.setattr(recorded, "update", update)
        with pytest.raises(Stopped, match=f"after step {stop_after} of 6"):
            train(root, "parts", steps=6)
        monkeypatch.setattr(recorded, "update", original)
    assert_same(weights(train(root, "parts", steps=6)), whole)


def newest(root: Path) -> int:
    """Step of the newest checkpoint; 0 where there is none."""
    found = checkpoints.list_checkpoints(root / "run" / "checkpoints")
    return int(found[-1].name.removeprefix("step-")) if found else 0


def kill_at_random(root: Path, steps: int, kills: int, seed: int) -> None:
    draw = random.Random(seed)
    for number in range(1, kills + 1):
        before, running = newest(root), process(root, steps)
        deadline = time.monotonic() + 60
        # Wait until it has got further, then strike at a random moment: in a step, in a save, between them.
        while newest(root) <= before and running.poll() is None:
            assert time.monotonic() < deadline, "it does not get on"
            time.sleep(0.002)
        time.sleep(draw.random() * 0.1)
        running.kill()
        output, _ = running.communicate()
        assert running.returncode == -signal.SIGKILL, f"ended before kill {number}: {output.decode()}"


def killed_and_resumed(root: Path, steps: int, kills: int, seed: int) -> None:
    torch.set_num_threads(1)
    whole = weights(train(root, "whole", steps=steps))
    kill_at_random(root, steps, kills, seed)
    finished = process(root, steps)
    output, _ = finished.communicate(timeout=600)
    assert finished.returncode == 0, output.decode()
    assert_same(weights(root / "run"), whole)


def test_killed_and_resumed_ends_with_identical_weights(root: Path) -> None:
    killed_and_resumed(root, steps=24, kills=1, seed=0)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_killed_twenty_times(root: Path) -> None:
    killed_and_resumed(root, steps=400, kills=20, seed=1)


def test_a_truncated_checkpoint_is_passed_over(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    whole = weights(train(root, "whole", steps=5))
    run = train(root, "run", steps=5)
    damage(checkpoints.list_checkpoints(run / "checkpoints")[-1])
    assert_same(weights(train(root, "run", steps=5)), whole)
    assert "damaged" in capsys.readouterr().out


def damage(checkpoint: Path) -> None:
    tensors = checkpoint / checkpoints.TENSORS
    tensors.write_bytes(tensors.read_bytes()[:1000])


@pytest.mark.parametrize("keep_last", [1, 2])
def test_damaged_checkpoints_never_push_out_good_ones(
    root: Path, keep_last: int, capsys: pytest.CaptureFixture[str]
) -> None:
    directory = train(root, "run", steps=5, keep_last=5) / "checkpoints"
    for step in (4, 5):
        damage(directory / f"step-{step:08d}")
    # Goes on from step 3.
    train(root, "run", steps=6, keep_last=keep_last)
    assert "damaged-step-00000005; delete it when you need the room" in capsys.readouterr().out
    last = checkpoints.latest_good(directory)
    assert last is not None
    assert last.step == 6
    names = [path.name for path in checkpoints.list_checkpoints(directory)]
    assert names[-keep_last:] == ["step-00000005", "step-00000006"][-keep_last:]


def test_where_all_checkpoints_are_damaged_nothing_begins_again_by_itself(root: Path) -> None:
    run = train(root, steps=3)
    for path in checkpoints.list_checkpoints(run / "checkpoints"):
        damage(path)
    log = (run / "log.jsonl").read_bytes()
    with pytest.raises(UserError, match=r"checkpoints: none of its \d checkpoint\(s\) can be read; copy one"):
        train(root, steps=5)
    assert (run / "log.jsonl").read_bytes() == log


@pytest.mark.parametrize("full", FULL_DISK, ids=str)
def test_a_full_disk_leaves_the_last_good_checkpoint(
    root: Path, full: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    train(root, "run", steps=3)

    def refuse(*_args: object) -> None:
        raise full

    monkeypatch.setattr(checkpoints, "save_file", refuse)
    with pytest.raises(UserError, match="run: the disk is full; make room and run the same command again"):
        train(root, "run", steps=5)
    found = checkpoints.list_checkpoints(root / "run" / "checkpoints")
    assert [path.name for path in found][-1] == "step-00000003"
    assert not list((root / "run" / "checkpoints").glob(".*"))


@pytest.mark.parametrize("place", ["log.RunLog.write", "log.draw_curves", "saving.save_tokenizer"])
def test_a_disk_that_is_full_for_anything_else_is_one_line_too(
    root: Path, place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_args: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(f"training.pretrain.{place}", refuse)
    with pytest.raises(UserError, match="the disk is full"):
        train(root, steps=3)


def test_a_loss_that_is_not_finite_stops_the_run_and_names_the_checkpoint(root: Path) -> None:
    train(root, "run", steps=3)
    with pytest.raises(UserError, match=r"not finite at step \d+; the last good checkpoint is step-0000000"):
        train(root, config=tiny_config(6, weight_decay=1e30))


LOSSES = {1: 9.0, 2: 5.0, 3: 7.0, 4: 6.0, 5: 8.0, 6: 7.5}


@pytest.fixture
def losses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Held-out loss by step, as ``LOSSES`` says."""
    monkeypatch.setattr(
        loop, "_health", lambda run, context: Health(LOSSES[run.step], *[0.5] * (len(fields(Health)) - 1))
    )


def test_policy_keeps_the_last_and_the_best(root: Path, losses: None) -> None:
    run = train(root, config=dataclasses.replace(tiny_config(6), evaluate_every=1))
    names = [path.name for path in checkpoints.list_checkpoints(run / "checkpoints")]
    assert names == ["step-00000002", "step-00000005", "step-00000006"]
    assert checkpoints.marked_best(run / "checkpoints") == checkpoints.Best(2, 5.0, 0)


def test_losses_of_another_phase_do_not_compare(root: Path, losses: None) -> None:
    phases = (PhaseConfig(steps=3, length=32, rows=8), PhaseConfig(steps=3, length=64, rows=4))
    config = dataclasses.replace(tiny_config(6), phases=phases, evaluate_every=1, keep_last=1)
    run = train(root, config=config)
    assert checkpoints.marked_best(run / "checkpoints") == checkpoints.Best(4, 6.0, 1)
    names = [path.name for path in checkpoints.list_checkpoints(run / "checkpoints")]
    assert names == ["step-00000004", "step-00000006"]


def test_a_loss_that_is_no_number_is_never_the_best(tmp_path: Path) -> None:
    best = checkpoints.Best(1, 5.0, 0)
    assert not checkpoints.Best(2, float("nan"), 0).is_better_than(best)
    assert not checkpoints.Best(2, float("nan"), 0).is_better_than(None)
    assert checkpoints.Best(2, 4.9, 0).is_better_than(best)
    assert not checkpoints.Best(2, 5.0, 0).is_better_than(best)
    checkpoints.mark_best(tmp_path, best)
    assert checkpoints.marked_best(tmp_path) is None, "its checkpoint is gone"


def test_another_model_is_refused(root: Path) -> None:
    train(root, steps=2)
    config = tiny_config(4)
    wider = dataclasses.replace(config, model=config.model | {"intermediate_size": 256})
    with pytest.raises(UserError, match="trained with another model"):
        train(root, config=wider)
