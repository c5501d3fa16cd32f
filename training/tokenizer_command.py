"""`electra-train tokenizer`."""

from __future__ import annotations

import argparse
from pathlib import Path

from training.config import from_mapping
from training.corpus.config import CorpusConfig
from training.errors import UserError
from training.sections import read_section
from training.tokenizer import save_tokenizer, train_tokenizer

EXAMPLES = """examples:
  electra-train tokenizer --source ~/texts --vocab-size 24576 --output runs/x/tokenizer
  electra-train tokenizer --config corpus.yaml --output runs/x/tokenizer      (the `corpus` part of a recipe)
"""

_SYNTHETIC = [
    "今天天气很好，我们去公园吧。",
    "The cat sat on the mat.",
    "iPhone 15 Pro 很贵，但是很好用！",
] * 50


def configure(parser: argparse.ArgumentParser) -> None:
    """Arguments of `electra-train tokenizer`."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = EXAMPLES
    parser.add_argument("--source", action="append", default=[], help="file or folder of text (repeatable)")
    parser.add_argument("--config", type=Path, help="YAML with the keys of `corpus` in a recipe")
    parser.add_argument("--vocab-size", type=int, default=24576, help="entries (default %(default)s)")
    parser.add_argument(
        "--characters", type=int, default=60_000_000, help="text to train on (default %(default)s)"
    )
    parser.add_argument("--keep-case", action="store_true", help="do not lower-case")
    parser.add_argument("--keep-accents", action="store_true", help="do not strip accents")
    parser.add_argument("--output", type=Path, help="directory for tokenizer.json and vocab.txt")
    parser.add_argument("--dry-run", action="store_true", help="train on three sentences; writes nothing")


def execute(arguments: argparse.Namespace) -> int:
    """Train and save; returns the exit code."""
    from training.corpus import sample_texts

    options = {"lowercase": not arguments.keep_case, "strip_accents": not arguments.keep_accents}
    if arguments.dry_run:
        tokenizer = train_tokenizer(_SYNTHETIC, 8192, **options)
        print(f"dry run: {tokenizer.get_vocab_size()} entries, {tokenizer.encode(_SYNTHETIC[2]).tokens}")
        return 0
    if arguments.output is None:
        raise UserError("--output is missing; see electra-train tokenizer --help")
    if arguments.config:
        values = read_section(arguments.config, "corpus")
    elif arguments.source:
        values = {"sources": [{"path": source} for source in arguments.source]}
    else:
        raise UserError("name the text with --source or --config")
    corpus = from_mapping(CorpusConfig, values, str(arguments.config or "--source"))
    texts = sample_texts(corpus, characters=arguments.characters)
    tokenizer = train_tokenizer(texts, arguments.vocab_size, **options)
    save_tokenizer(tokenizer, arguments.output)
    print(f"{arguments.output}: {tokenizer.get_vocab_size():,} entries")
    return 0
