"""Two processes compute what one computes, and each other's runs can be resumed."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.training.pretrain.run_here import tiny_config, train, weights
from training.pretrain.log import read_log

SCRIPT = """
import sys
from dataclasses import replace
from pathlib import Path
import torch
from tests.training.pretrain.run_here import tiny_config, train
torch.set_num_threads(1)
config = tiny_config(int(sys.argv[2]))
still = config.model | {"hidden_dropout": 0.0, "attention_dropout": 0.0}
train(Path(sys.argv[1]), "run", config=replace(config, model=still, log_every=1))
"""


def run(root: Path, processes: int, steps: int) -> list[dict[str, float]]:
    script = root / "train.py"
    script.write_text(SCRIPT, encoding="utf-8")
    launcher = [
        sys.executable,
        "-m",
        "torch.distributed.run",
        "--standalone",
        "--nproc-per-node",
        str(processes),
    ]
    command = [*launcher, str(script), str(root), str(steps)]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": os.getcwd()}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=280)
    assert done.returncode == 0, done.stdout + done.stderr
    return [record for record in read_log(root / "run" / "log.jsonl") if "loss" in record]


def test_two_processes_have_the_losses_of_one_and_resume_its_run(prepared: Path, tmp_path: Path) -> None:
    import dataclasses
    import shutil

    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        for part in ("tokenizer", "shards"):
            shutil.copytree(prepared / part, tmp_path / name / part)
    config = tiny_config(4)
    still = config.model | {"hidden_dropout": 0.0, "attention_dropout": 0.0}
    train(tmp_path / "one", "run", config=dataclasses.replace(config, model=still, log_every=1))
    single = [r for r in read_log(tmp_path / "one" / "run" / "log.jsonl") if "loss" in r]
    double = run(tmp_path / "two", 2, 4)
    assert len(single) == len(double) == 4
    for one, two in zip(single, double, strict=True):
        for key in ("loss", "generator_loss", "discriminator_loss", "gradient_norm", "replaced_rate"):
            assert two[key] == pytest.approx(one[key], rel=2e-5), (key, one["step"])
        assert one["tokens"] == two["tokens"]
    a, b = weights(tmp_path / "one" / "run"), weights(tmp_path / "two" / "run")
    assert max((a[name] - b[name]).abs().max().item() for name in a) < 1e-5
    # The data position is a function of the step: another world size goes on with the same rows.
    state = json.loads(
        (tmp_path / "two" / "run" / "checkpoints" / "step-00000004" / "state.json").read_text()
    )
    assert state["position"]["row"] >= 0
