"""Nothing is lost: kills, stops, damaged and full disks."""

import dataclasses
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from tests.training.pretrain.run_here import tiny_config, train, weights
from training.errors import Stopped, UserError
from training.pretrain import checkpoint as checkpoints
from training.pretrain import recorded


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


def kill_at_random(root: Path, steps: int, kills: int, seed: int) -> None:
    draw = random.Random(seed)
    for _ in range(kills):
        running = process(root, steps)
        before = len(list((root / "run" / "checkpoints").glob("*"))) if (root / "run").exists() else 0
        deadline = time.monotonic() + 60
        # Wait until it trains, then strike at a random moment: in a step, in a save, between them.
        while time.monotonic() < deadline and running.poll() is None:
            seen = list((root / "run" / "checkpoints").glob("step-*"))
            if len(seen) > min(before, 1):
                break
            time.sleep(0.01)
        time.sleep(draw.random() * 0.4)
        running.kill()
        running.wait()


def test_killed_and_resumed_ends_with_identical_weights(root: Path) -> None:
    torch.set_num_threads(1)
    whole = weights(train(root, "whole", steps=16))
    kill_at_random(root, steps=16, kills=1, seed=0)
    finished = process(root, 16)
    output, _ = finished.communicate(timeout=240)
    assert finished.returncode == 0, output.decode()
    assert_same(weights(root / "run"), whole)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_killed_twenty_times(root: Path) -> None:
    torch.set_num_threads(1)
    whole = weights(train(root, "whole", steps=160))
    kill_at_random(root, steps=160, kills=20, seed=1)
    finished = process(root, 160)
    output, _ = finished.communicate(timeout=600)
    assert finished.returncode == 0, output.decode()
    assert_same(weights(root / "run"), whole)


def test_a_truncated_checkpoint_is_passed_over(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    whole = weights(train(root, "whole", steps=5))
    run = train(root, "run", steps=5)
    last = checkpoints.list_checkpoints(run / "checkpoints")[-1]
    tensors = last / checkpoints.TENSORS
    tensors.write_bytes(tensors.read_bytes()[:1000])
    assert_same(weights(train(root, "run", steps=5)), whole)
    assert "damaged" in capsys.readouterr().out


def test_a_full_disk_leaves_the_last_good_checkpoint(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    train(root, "run", steps=3)

    def full(*_args: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(checkpoints, "save_file", full)
    with pytest.raises(UserError, match="the disk is full; free some space"):
        train(root, "run", steps=5)
    found = checkpoints.list_checkpoints(root / "run" / "checkpoints")
    assert [path.name for path in found][-1] == "step-00000003"
    assert not list((root / "run" / "checkpoints").glob(".*"))


def test_a_loss_that_is_not_finite_stops_the_run_and_names_the_checkpoint(root: Path) -> None:
    train(root, "run", steps=3)
    with pytest.raises(UserError, match=r"not finite at step \d+; the last good checkpoint is step-0000000"):
        train(root, config=tiny_config(6, learning_rate=1e30, clip_norm=1e30))


def test_policy_keeps_the_last_and_the_best(root: Path) -> None:
    run = train(root, steps=6)
    names = {path.name for path in checkpoints.list_checkpoints(run / "checkpoints")}
    best = checkpoints.best_step(run / "checkpoints")
    assert best is not None
    assert names == {"step-00000005", "step-00000006"} | {f"step-{best[0]:08d}"}


def test_another_model_is_refused(root: Path) -> None:
    train(root, steps=2)
    config = tiny_config(4)
    wider = dataclasses.replace(config, model=config.model | {"intermediate_size": 128})
    with pytest.raises(UserError, match="trained with another model"):
        train(root, config=wider)
