"""`electra-train bench`."""

from __future__ import annotations

import argparse
import json
import os
import tempfile
from pathlib import Path

from training.errors import UserError
from training.files import atomic_file

EXAMPLES = """examples:
  electra-train bench pretrain --preset base --length 512
  electra-train bench tasks --checkpoint runs/x/pretrain/pretrained/discriminator --set data=DIR
  electra-train bench pretrain --dry-run
  electra-train bench tasks --dry-run

Each has its own --help.
"""
PRETRAIN_EXAMPLES = """examples:
  electra-train bench pretrain                              `small`, 32 rows of 128 tokens, synthetic text
  electra-train bench pretrain --shards runs/x/shards --tokenizer runs/x/tokenizer --rows 64
  electra-train bench pretrain --preset base --length 512 --json bench.json
  electra-train bench pretrain --dry-run                    two steps of a very small model
  torchrun --nproc-per-node 2 -m training.cli bench pretrain --compile    the engine on a process a core

Both loops train on the same shards in turns; a matrix product before and after each turn shows a noisy
machine, and the turn is repeated. Only the ratios carry to another machine.
"""
TASKS_EXAMPLES = """examples:
  electra-train bench tasks --checkpoint runs/x/pretrain/pretrained/discriminator --set data=DIR
  electra-train bench tasks --suite mine.yaml --checkpoint D --only waimai tnews --output runs/tasks
  electra-train bench tasks --dry-run                       made-up reviews, a very small model

Each task is fine-tuned from the checkpoint and from the same architecture with random weights, with every
seed of the suite, beside TF-IDF + logistic regression. The same command goes on where it was stopped.
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Arguments of `electra-train bench`."""
    formatter = argparse.RawDescriptionHelpFormatter
    parser.formatter_class = formatter
    parser.epilog = EXAMPLES
    verbs = parser.add_subparsers(dest="what", required=True, metavar="WHAT")
    pretrain = verbs.add_parser(
        "pretrain", help="tokens/s beside a plain loop", epilog=PRETRAIN_EXAMPLES, formatter_class=formatter
    )
    pretrain.add_argument("--preset", default="small", help="model size (default %(default)s)")
    pretrain.add_argument(
        "--vocab-size", type=int, default=32000, help="for synthetic text (default %(default)s)"
    )
    pretrain.add_argument("--length", type=int, default=128, help="tokens a row (default %(default)s)")
    pretrain.add_argument("--rows", type=int, default=32, help="rows an update (default %(default)s)")
    pretrain.add_argument("--steps", type=int, default=3, help="updates a turn (default %(default)s)")
    pretrain.add_argument("--turns", type=int, default=3, help="turns of each loop (default %(default)s)")
    pretrain.add_argument(
        "--shards", type=Path, help="token shards to train on; default: synthetic documents"
    )
    pretrain.add_argument("--tokenizer", type=Path, help="tokenizer of the shards")
    pretrain.add_argument("--compile", action="store_true", help="torch.compile the engine")
    pretrain.add_argument(
        "--no-cuda-graphs", action="store_true", help="launch every kernel of an update by itself"
    )
    pretrain.add_argument(
        "--no-native-kernels", action="store_true", help="torch's kernels on a CPU with AMX too"
    )
    pretrain.add_argument("--json", type=Path, help="write the figures there too")
    pretrain.add_argument("--dry-run", action="store_true", help="two steps of a very small model")

    tasks = verbs.add_parser(
        "tasks", help="what pretraining brought", epilog=TASKS_EXAMPLES, formatter_class=formatter
    )
    tasks.add_argument(
        "--suite",
        type=Path,
        default=Path(__file__).with_name("tasks.yaml"),
        help="YAML file of tasks (default: the sets of docs/benchmarks.md)",
    )
    tasks.add_argument("--checkpoint", type=Path, metavar="DIR", help="pretrained discriminator")
    tasks.add_argument("--output", type=Path, default=Path("runs/tasks"), help="default %(default)s")
    tasks.add_argument(
        "--set", action="append", default=[], metavar="NAME=VALUE", help="variable of the suite"
    )
    tasks.add_argument("--only", nargs="+", metavar="TASK", help="only these tasks")
    tasks.add_argument("--no-fresh", action="store_true", help="without the runs from random weights")
    tasks.add_argument("--quiet", action="store_true", help="no progress bars")
    tasks.add_argument("--dry-run", action="store_true", help="made-up reviews, a very small model")


def execute(arguments: argparse.Namespace) -> int:
    """Measure and print; returns the exit code."""
    return _pretrain(arguments) if arguments.what == "pretrain" else _tasks(arguments)


def _pretrain(arguments: argparse.Namespace) -> int:
    from training.bench.pretrain import PretrainBench, measure, table

    settings = PretrainBench(
        preset=arguments.preset,
        vocab_size=arguments.vocab_size,
        length=arguments.length,
        rows=arguments.rows,
        steps=arguments.steps,
        turns=arguments.turns,
        compile=arguments.compile,
        model={},
        cuda_graphs=not arguments.no_cuda_graphs,
        native_kernels=not arguments.no_native_kernels,
    )
    if arguments.dry_run:
        settings = PretrainBench(
            "tiny", 500, 16, 4, 2, 1, False, {"hidden_size": 32, "intermediate_size": 32}
        )
    with tempfile.TemporaryDirectory() as scratch:
        figures = measure(settings, arguments.shards, arguments.tokenizer, Path(scratch))
    if os.environ.get("RANK", "0") != "0":
        return 0  # under torchrun the first process speaks
    print(table(figures))
    if arguments.json:
        with atomic_file(arguments.json, "w", encoding="utf-8") as stream:
            json.dump(figures, stream, indent=1)
    return 0


def _tasks(arguments: argparse.Namespace) -> int:
    from training.bench.tasks import measure_tasks, read_suite, rehearse, table

    if arguments.dry_run:
        with tempfile.TemporaryDirectory() as scratch:
            print(table(rehearse(Path(scratch))))
        return 0
    if arguments.checkpoint is None:
        raise UserError("--checkpoint: missing; give the directory of a pretrained discriminator")
    overrides = {}
    for text in arguments.set:
        name, sign, value = text.partition("=")
        if not sign:
            raise UserError(f"--set {text}: write NAME=VALUE")
        overrides[name] = value
    figures = measure_tasks(
        read_suite(arguments.suite, overrides),
        arguments.checkpoint,
        arguments.output,
        only=arguments.only,
        fresh=not arguments.no_fresh,
        progress=not arguments.quiet,
    )
    print(table(figures))
    return 0
