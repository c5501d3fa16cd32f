"""``electra-train corpus``: text sources, from a YAML file or the command line, to token shards."""

from __future__ import annotations

import argparse
import tempfile
from dataclasses import replace
from pathlib import Path

from training.config import from_mapping
from training.corpus.builder import build
from training.corpus.config import CorpusConfig, SourceConfig
from training.errors import UserError
from training.sections import read_section

EXAMPLES = """\
examples:
  electra-train corpus --tokenizer runs/mine/tokenizer --output runs/mine/shards my_texts/ news.jsonl.xz
  electra-train corpus --tokenizer runs/mine/tokenizer --output runs/mine/shards --config corpus.yaml
  electra-train corpus --dry-run

corpus.yaml holds the keys of the `corpus` section of a recipe (or a whole recipe):
  sources:
    - {path: $DATA/zh_wiki, language: zh, weight: 2}
    - {path: reviews.tsv, columns: [text]}
    - {dataset: user/some-hub-data-set, columns: [content]}
  deduplicate: near

A build that was interrupted goes on where it stopped: run the same command again.
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of the verb."""
    parser.description = "Clean, deduplicate and tokenise text into memory-mapped shards."
    parser.epilog = EXAMPLES
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument(
        "paths", nargs="*", help="files, folders or saved Hugging Face data sets, each one source"
    )
    parser.add_argument("--config", type=Path, metavar="FILE", help="YAML file with the keys of CorpusConfig")
    parser.add_argument(
        "--tokenizer", type=Path, metavar="PATH", help="tokenizer.json or the folder that holds it"
    )
    parser.add_argument("--output", type=Path, metavar="FOLDER", help="where the shards go")
    parser.add_argument("--deduplicate", choices=("none", "exact", "near"), help="overrides the file")
    parser.add_argument(
        "--held-out", type=float, metavar="SHARE", help="share kept out of training; overrides the file"
    )
    parser.add_argument("--workers", type=int, metavar="N", help="processes; default: one per processor")
    parser.add_argument("--no-progress", action="store_true", help="neither bars nor the table at the end")
    parser.add_argument(
        "--dry-run", action="store_true", help="every step on a few lines of made-up text; keeps nothing"
    )


def execute(arguments: argparse.Namespace) -> int:
    """Run the verb; returns the exit status.

    Raises:
        UserError: anything the user can fix.
    """
    if arguments.dry_run:
        return _dry_run()
    for option in ("tokenizer", "output"):
        if getattr(arguments, option) is None:
            raise UserError(f"corpus: --{option} is missing; see `electra-train corpus --help`")
    build(_config(arguments), arguments.tokenizer, arguments.output, progress=not arguments.no_progress)
    return 0


def _config(arguments: argparse.Namespace) -> CorpusConfig:
    values = read_section(arguments.config, "corpus") if arguments.config else {}
    overrides = {key: getattr(arguments, key) for key in ("deduplicate", "held_out", "workers")}
    values |= {key: value for key, value in overrides.items() if value is not None}
    config = from_mapping(CorpusConfig, values, str(arguments.config or "corpus"))
    if arguments.paths:
        try:
            named = tuple(SourceConfig(path=path) for path in arguments.paths)
            config = replace(config, sources=(*config.sources, *named))
        except ValueError as error:
            raise UserError(f"corpus: {error}") from None
    return config


def _dry_run() -> int:
    """Build a corpus of made-up text in a temporary folder, through every step."""
    from training.tokenizer import save_tokenizer, train_tokenizer

    texts = [
        f"这是第{number}段试运行的文字。This is paragraph {number} of a dry run." for number in range(300)
    ]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "text.txt").write_text("\n\n".join([*texts, *texts[:10]]), encoding="utf-8")
        save_tokenizer(train_tokenizer(texts, 12_000), folder / "tokenizer")
        source = SourceConfig(path=str(folder / "text.txt"), documents="blank", name="made_up")
        config = CorpusConfig(sources=(source,), deduplicate="near", near_threshold=0.95, held_out=0.1)
        build(config, folder / "tokenizer", folder / "shards")
    print("dry run: every step worked; nothing was kept")
    return 0
