"""`electra-train bench`."""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path

from training.files import atomic_file

EXAMPLES = """examples:
  electra-train bench pretrain                              `small`, 32 rows of 128 tokens, synthetic text
  electra-train bench pretrain --shards runs/x/shards --tokenizer runs/x/tokenizer --rows 64
  electra-train bench pretrain --preset base --length 512 --json bench.json
  electra-train bench pretrain --dry-run                    two steps of a very small model

Both loops train on the same shards in turns; a matrix product before and after each turn shows a noisy
machine, and the turn is repeated. Only the ratios carry to another machine.
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Arguments of `electra-train bench`."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = EXAMPLES
    parser.add_argument("what", choices=["pretrain"], nargs="?", default="pretrain", help="what to measure")
    parser.add_argument("--preset", default="small", help="model size (default %(default)s)")
    parser.add_argument(
        "--vocab-size", type=int, default=32000, help="for synthetic text (default %(default)s)"
    )
    parser.add_argument("--length", type=int, default=128, help="tokens a row (default %(default)s)")
    parser.add_argument("--rows", type=int, default=32, help="rows an update (default %(default)s)")
    parser.add_argument("--steps", type=int, default=3, help="updates a turn (default %(default)s)")
    parser.add_argument("--turns", type=int, default=3, help="turns of each loop (default %(default)s)")
    parser.add_argument("--shards", type=Path, help="token shards to train on; default: synthetic documents")
    parser.add_argument("--tokenizer", type=Path, help="tokenizer of the shards")
    parser.add_argument("--compile", action="store_true", help="torch.compile the engine")
    parser.add_argument("--json", type=Path, help="write the figures there too")
    parser.add_argument("--dry-run", action="store_true", help="two steps of a very small model")


def execute(arguments: argparse.Namespace) -> int:
    """Measure and print; returns the exit code."""
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
    )
    if arguments.dry_run:
        settings = PretrainBench(
            "tiny", 500, 16, 4, 2, 1, False, {"hidden_size": 32, "intermediate_size": 32}
        )
    with tempfile.TemporaryDirectory() as scratch:
        figures = measure(settings, arguments.shards, arguments.tokenizer, Path(scratch))
    print(table(figures))
    if arguments.json:
        with atomic_file(arguments.json, "w", encoding="utf-8") as stream:
            json.dump(figures, stream, indent=1)
    return 0
