"""`electra-train pretrain`."""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from training.config import from_mapping
from training.errors import UserError
from training.files import require_paths
from training.pretrain.config import PretrainConfig
from training.sections import read_section

EXAMPLES = """\
examples:
  electra-train pretrain --shards runs/x/shards --tokenizer runs/x/tokenizer --config my.yaml \\
      --output runs/x/pretrain
  # go on on your own text
  electra-train pretrain ... --warm-start path/to/chinese-electra-small-discriminator
  # one host, eight GPUs; several hosts
  torchrun --nproc-per-node 8 -m training.cli pretrain --shards ... --config ...
  torchrun --nnodes 2 --node-rank 0 --rdzv-backend c10d --rdzv-endpoint HOST:29500 --nproc-per-node 8 \\
      -m training.cli pretrain ...

Run the same command again to go on after a stop or a kill. Look at OUTPUT/curves.png, or
`tensorboard --logdir OUTPUT`.
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Arguments of `electra-train pretrain`."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = EXAMPLES
    parser.add_argument("--shards", type=Path, help="directory made by `electra-train corpus`")
    parser.add_argument("--tokenizer", type=Path, help="tokenizer.json or its directory")
    parser.add_argument("--config", type=Path, help="a recipe, or YAML with the keys of its `pretrain`")
    parser.add_argument("--output", type=Path, help="where checkpoints, logs and pretrained/ go")
    parser.add_argument("--warm-start", help="BERT or ELECTRA checkpoint directory to start from")
    parser.add_argument(
        "--dry-run", action="store_true", help="a few steps on synthetic text; writes nothing that stays"
    )
    parser.add_argument("--quiet", action="store_true", help="no progress bar")


def execute(arguments: argparse.Namespace) -> int:
    """Pretrain; returns the exit code.

    Raises:
        UserError: anything the user can fix.
    """
    if arguments.dry_run:
        from training.synthetic import rehearse_pretraining

        with tempfile.TemporaryDirectory() as scratch:
            rehearse_pretraining(Path(scratch))
        return 0
    for name in ("shards", "tokenizer", "output"):
        if getattr(arguments, name) is None:
            raise UserError(f"--{name} is missing; see electra-train pretrain --help")
    values = read_section(arguments.config, "pretrain") if arguments.config else {}
    if arguments.warm_start:
        values["warm_start"] = arguments.warm_start
    config = from_mapping(PretrainConfig, values, str(arguments.config or "pretrain"))
    require_paths((arguments.shards, arguments.tokenizer))
    from training.pretrain.loop import pretrain

    target = pretrain(config, arguments.shards, arguments.tokenizer, arguments.output, not arguments.quiet)
    print(f"done: {target}/discriminator and {target}/generator are Hugging Face directories")
    return 0
