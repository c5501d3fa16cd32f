"""Two processes compute what one computes, as copies or as shards, and each other's runs can be resumed."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import asdict, replace
from pathlib import Path

import pytest
import torch

from tests.training.electra.test_losses import MASK, make_batch
from tests.training.electra.test_model import TINY
from tests.training.pretrain.run_here import tiny_config, train, weights
from training.electra.model import Electra
from training.errors import UserError
from training.pretrain import checkpoint as checkpoints
from training.pretrain.config import PretrainConfig
from training.pretrain.health import evaluate
from training.pretrain.log import read_log
from training.pretrain.parallel import compile_layers, shard
from training.pretrain.place import Place
from training.pretrain.setup import JointModel
from training.pretrain.update import step_seed

pytestmark = pytest.mark.timeout(900)  # two processes that start on a busy machine
STEPS = 4

# One start of two processes trains all: starting is what costs.
TRAIN_ALL = """
import functools, os, sys
from pathlib import Path
import torch
from torch import distributed
from torch._dynamo.utils import counters
from torch.distributed.tensor import DTensor
from tests.training.pretrain.run_here import tiny_config, train
from tests.training.pretrain.test_distributed import STEPS, forget_the_last_step, still_config
from torch.nn.parallel import DistributedDataParallel
from training.pretrain import loop, parallel
from training.pretrain.shared_copies import SharedCopies

torch.set_num_threads(1)
root, leave, finish = Path(sys.argv[1]), loop.leave, loop.finish
loop.leave = lambda place: None

kind = None

def checked(run):
    model = run.model
    if kind is not None:
        assert isinstance(run.wrapped, kind)
    table = model.generator.embeddings.word_embeddings.weight
    assert isinstance(table, DTensor) == (run.config.parallel == "fsdp")
    assert model.generator_head.word_embeddings.weight is table
    if run.electra.embedding_sharing == "shared":
        assert model.discriminator.embeddings.word_embeddings.weight is table
    whole = sum(p.numel() for p in model.parameters())
    held = sum(p.to_local().numel() for p in model.parameters() if isinstance(p, DTensor))
    assert held < 0.7 * whole
    if kind is SharedCopies:
        updated = sum(part.stop - part.start for part in run.optimizer.parts.values())
        assert 0.45 * whole < updated < 0.55 * whole
    return finish(run)

loop.finish = checked
kind = SharedCopies
train(root, "shared", config=still_config(micro_rows=2))
train(root, "shared-gdes", config=still_config("gdes"))
train(root, "shared-resumes-one", config=still_config())
train(root, "shared-dropout", config=tiny_config(STEPS))
(root / f"seed-{os.environ['RANK']}").write_text(str(torch.initial_seed()))
train(root, "shared-dropout-again", config=tiny_config(STEPS))
if os.environ["RANK"] == "0":
    forget_the_last_step(root / "shared-dropout", root / "shared-dropout-resumed")
distributed.barrier()
train(root, "shared-dropout-resumed", config=tiny_config(STEPS))
parallel.compile_layers = functools.partial(parallel.compile_layers, backend="aot_eager")
assert counters["stats"]["unique_graphs"] == 0
train(root, "shared-compiled", config=still_config(compile=True, micro_rows=2))
assert counters["stats"]["unique_graphs"] >= 2  # two sizes of layer
kind, parallel.share = DistributedDataParallel, lambda *_: None
train(root, "ddp", config=still_config())
train(root, "ddp-compiled", config=still_config(compile=True))
kind = None
train(root, "fsdp", config=still_config(parallel="fsdp", micro_rows=2))
train(root, "fsdp-resumes-one", config=still_config(parallel="fsdp"))
train(root, "fsdp-gdes", config=still_config("gdes", parallel="fsdp"))
distributed.destroy_process_group()
"""

TRAIN_BY_COMMAND = """
import os, sys
from pathlib import Path
from training import cli
from training.pretrain import checkpoint

root, rank = Path(sys.argv[1]), os.environ["RANK"]
save = checkpoint.save_checkpoint

def noted(directory, step, *rest):
    with (root / f"saved-{rank}").open("a") as stream:
        stream.write(f"{step}\\n")
    return save(directory, step, *rest)

checkpoint.save_checkpoint = noted
paths = {"shards": "shards", "tokenizer": "tokenizer", "config": "config.yaml", "output": "run"}
options = [word for option, name in paths.items() for word in (f"--{option}", str(root / name))]
code = cli.main(["pretrain", "--quiet", *options])
(root / f"code-{rank}").write_text(str(code))
sys.exit(code)
"""


def still_config(sharing: str = "shared", **changes: object) -> PretrainConfig:
    """Without dropout, whose draws depend on how rows are spread."""
    config = tiny_config(STEPS)
    model = config.model | {"hidden_dropout": 0.0, "attention_dropout": 0.0, "embedding_sharing": sharing}
    return replace(config, model=model, log_every=1, evaluate_every=2, numbers="float32", **changes)


def start(root: Path, source: str) -> subprocess.Popen[str]:
    (root / "train.py").write_text(source, encoding="utf-8")
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": os.getcwd()}
    return subprocess.Popen(
        [*launcher, str(root / "train.py"), str(root)],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def forget_the_last_step(run: Path, copy: Path) -> None:
    """Copy a finished run as it was a step before its end."""
    shutil.copytree(run, copy)
    shutil.rmtree(copy / "pretrained")
    shutil.rmtree(copy / "checkpoints" / f"step-{STEPS:08d}")
    (copy / "checkpoints" / "best.json").unlink(missing_ok=True)


@pytest.fixture(scope="module")
def runs(prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same run on one process and on two, in every way."""
    root = tmp_path_factory.mktemp("runs")
    for part in ("tokenizer", "shards"):
        shutil.copytree(prepared / part, root / part)
    train(root, "one", config=still_config())
    train(root, "one-gdes", config=still_config("gdes"))
    for name in ("fsdp-resumes-one", "shared-resumes-one"):
        forget_the_last_step(root / "one", root / name)
    running = start(root, TRAIN_ALL)
    output, _ = running.communicate(timeout=800)
    assert running.returncode == 0, output
    return root


def assert_close(one: Path, two: Path) -> None:
    a, b = weights(one), weights(two)
    assert a.keys() == b.keys()
    for name, tensor in a.items():
        assert (tensor - b[name]).abs().max().item() < 1e-5, name


@pytest.mark.parametrize(
    ("name", "reference"),
    [
        ("ddp", "one"),
        ("ddp-compiled", "one"),
        ("shared", "one"),
        ("shared-compiled", "one"),
        ("shared-gdes", "one-gdes"),
        ("fsdp", "one"),
        ("fsdp-gdes", "one-gdes"),
    ],
)
def test_two_processes_have_the_losses_and_weights_of_one(runs: Path, name: str, reference: str) -> None:
    single, double = (read_log(runs / run / "log.jsonl") for run in (reference, name))
    assert [sorted(record) for record in single] == [sorted(record) for record in double]
    assert len([record for record in single if "loss" in record]) == STEPS
    for one, two in zip(single, double, strict=True):
        for key in set(one) - {"time", "tokens_per_second", "teraflops", "flop_utilisation", "alarm"}:
            # Of held-out figures those that count tokens jump where a draw is close.
            loose = 2e-2 if key.startswith("heldout/") else 2e-5
            assert two[key] == pytest.approx(one[key], rel=loose), (key, one["step"])
    assert_close(runs / reference, runs / name)
    state = json.loads((runs / name / "checkpoints" / f"step-{STEPS:08d}" / "state.json").read_text())
    assert state["position"] == {"phase": 0, "row": (STEPS - 1) * 8}


@pytest.mark.parametrize("name", ["fsdp-resumes-one", "shared-resumes-one"])
def test_two_processes_go_on_from_the_checkpoint_of_one(runs: Path, name: str) -> None:
    steps = [r["step"] for r in read_log(runs / name / "log.jsonl") if "loss" in r]
    assert steps == list(range(1, STEPS + 1))
    assert_close(runs / "one", runs / name)


@pytest.mark.parametrize("name", ["fsdp", "shared"])
def test_one_process_goes_on_from_the_checkpoint_of_two(runs: Path, name: str) -> None:
    resumed = f"one-resumes-{name}"

    def files(run: str) -> list[str]:
        return sorted(path.name for path in (runs / run / "checkpoints").glob("step-*"))

    forget_the_last_step(runs / name, runs / resumed)
    last = checkpoints.latest_good(runs / resumed / "checkpoints")
    whole = checkpoints.latest_good(runs / "one" / "checkpoints")
    assert last is not None
    assert whole is not None
    assert last.step == STEPS - 1
    assert {n: t.shape for n, t in last.tensors.items()} == {n: t.shape for n, t in whole.tensors.items()}
    train(runs, resumed, config=still_config())
    assert_close(runs / "one", runs / resumed)
    assert files(resumed)[-1] == f"step-{STEPS:08d}"


@pytest.mark.parametrize("name", ["again", "resumed"])
def test_two_processes_that_share_memory_give_the_same_bits_again(runs: Path, name: str) -> None:
    first, second = weights(runs / "shared-dropout"), weights(runs / f"shared-dropout-{name}")
    assert all(torch.equal(tensor, second[name]) for name, tensor in first.items())


def test_each_process_drops_other_values(runs: Path) -> None:
    seeds = [int((runs / f"seed-{rank}").read_text()) for rank in range(2)]
    assert seeds == [step_seed(tiny_config(STEPS).seed, STEPS - 1, rank) for rank in range(2)]
    assert len({step_seed(1, step, rank) for step in range(20) for rank in range(8)}) == 160


def test_rows_that_cannot_be_shared_out_are_refused() -> None:
    config = still_config(parallel="fsdp")
    with pytest.raises(UserError, match="8 rows cannot be shared out evenly over 3 processes; choose"):
        shard(
            torch.nn.Identity(),
            Electra(config.electra_config(8192)),
            config,
            Place(0, 3, torch.device("cpu")),
        )


def test_shards_are_not_compiled() -> None:
    config = still_config(parallel="fsdp", compile=True)
    with pytest.raises(UserError, match="set compile: false, or parallel: ddp"):
        shard(
            torch.nn.Identity(),
            Electra(config.electra_config(8192)),
            config,
            Place(0, 2, torch.device("cpu")),
        )


def test_a_stopped_launcher_saves_once_and_every_process_says_so(root: Path) -> None:
    config = replace(tiny_config(100_000), checkpoint_every=10, evaluate_every=100_000)
    (root / "config.yaml").write_text(json.dumps(asdict(config)), encoding="utf-8")
    running = start(root, TRAIN_BY_COMMAND)
    try:
        while not list((root / "run" / "checkpoints").glob("step-*")):
            assert running.poll() is None, running.communicate()[0]
            time.sleep(0.1)
        running.send_signal(signal.SIGTERM)
        output, _ = running.communicate(timeout=120)
    finally:
        running.kill()
    assert [(root / f"code-{rank}").read_text() for rank in range(2)] == ["143", "143"], output
    assert output.count("stopped by signal 15 after step ") == 2
    saved = [int(line) for line in (root / "saved-0").read_text().split()]
    assert not (root / "saved-1").exists()
    assert len(saved) == len(set(saved))
    assert f"stopped by signal 15 after step {saved[-1]} of 100000" in output
    last = checkpoints.latest_good(root / "run" / "checkpoints")
    assert last is not None
    assert last.step == saved[-1]


def test_one_graph_serves_all_layers_of_a_size_and_gives_the_same_gradients() -> None:
    still = replace(TINY, generator_layers=3)
    gradients = []
    for compiled in (False, True):
        torch.manual_seed(0)
        model = Electra(still).train()
        joint = JointModel(model, MASK, PretrainConfig())
        torch._dynamo.reset()
        before = torch._dynamo.utils.counters["stats"]["unique_graphs"]
        if compiled:
            compile_layers(joint, backend="aot_eager")
        joint(make_batch(), 10.0, 50.0)[0].backward()
        evaluate(model, [make_batch(seed=1)], MASK, torch.autocast("cpu", enabled=False))
        made = torch._dynamo.utils.counters["stats"]["unique_graphs"] - before
        assert made == (2 if compiled else 0)
        gradients.append([p.grad for p in model.parameters() if p.grad is not None])
    for mine, theirs in zip(*gradients, strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-4, atol=1e-6)
