"""`electra-train <verb>`: one door to every part; a verb's module is imported only when it is called."""

from __future__ import annotations

import argparse
import difflib
import importlib
import os
import sys

from training.errors import Stopped, UserError
from training.files import disk_is_full

# Verb -> (module with configure() and execute(), one line for --help).
VERBS = {
    "run": ("training.run.command", "a whole recipe: raw text to published bundles"),
    "tokenizer": ("training.tokenizer_command", "train the WordPiece vocabulary"),
    "corpus": ("training.corpus.command", "text sources to token shards"),
    "pretrain": ("training.pretrain.command", "generator and discriminator on token shards"),
    "finetune": ("training.finetune.command", "a checkpoint and labelled examples to a classifier or tagger"),
    "restore": ("training.restore.command", "a bundle back to checkpoints that can be trained on"),
    "export": ("training.export.command", "a checkpoint to an ONNX bundle that the service loads"),
    "scorer": ("training.finetune.scorer_command", "a sentence scorer for a bundle's summaries"),
    "evaluate": ("training.evaluate.command", "judge a bundle by what it serves"),
    "compare": ("training.evaluate.compare_command", "is bundle B better than bundle A?"),
    "bench": ("training.bench.command", "measure training speed, or what pretraining brought"),
}


def main(arguments: list[str] | None = None) -> int:
    """Entry point. A mistake of the user is one line and exit code 2, a stop asked for 143 or 130.

    Raises:
        OSError: one that names no file.
    """
    arguments = sys.argv[1:] if arguments is None else arguments
    overview = "\n".join(f"  {verb:<10} {line}" for verb, (_, line) in VERBS.items())
    parser = argparse.ArgumentParser(
        prog="electra-train",
        description="Train ELECTRA models and publish them as bundles.",
        epilog=f"verbs:\n{overview}\n\nstart here: electra-train run training/recipes/tiny.yaml\n"
        "help on a verb: electra-train VERB --help",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        add_help=True,
    )
    parser.add_argument("verb", metavar="VERB", help="one of: " + ", ".join(VERBS))
    if not arguments:
        parser.print_help()
        return 2
    if arguments[0] in ("-h", "--help"):
        parser.print_help()
        return 0
    verb, *rest = arguments
    if verb not in VERBS:
        near = difflib.get_close_matches(verb, VERBS, n=1)
        hint = f"did you mean {near[0]}?" if near else f"choose from {', '.join(VERBS)}"
        print(f"electra-train: unknown verb {verb!r}; {hint}", file=sys.stderr)
        return 2
    module = importlib.import_module(VERBS[verb][0])
    verb_parser = argparse.ArgumentParser(prog=f"electra-train {verb}", description=VERBS[verb][1])
    module.configure(verb_parser)
    try:
        code: int = module.execute(verb_parser.parse_args(rest))
    except UserError as error:
        print(f"electra-train {verb}: {error}", file=sys.stderr)
        return 2
    except Stopped as stopped:
        print(f"electra-train {verb}: {stopped}", file=sys.stderr)
        return 143
    except KeyboardInterrupt:
        print(f"electra-train {verb}: interrupted; run it again to go on", file=sys.stderr)
        return 130
    except Exception as error:
        line = _refusal_of_the_system(error)
        if line is None:
            raise
        print(f"electra-train {verb}: {line}", file=sys.stderr)
        return 2
    return code


def _refusal_of_the_system(error: Exception) -> str | None:
    """One line about a full disk or a file that the system refused; None for an error of another kind."""
    if disk_is_full(error):
        return (
            "the disk is full; make room and run the same command again: nothing half-written was left, and "
            "what was finished is kept"
        )
    if isinstance(error, OSError) and isinstance(error.filename, str | bytes | os.PathLike):
        return _refused_file(error)
    return None  # no file that could be named: ours, not the user's


def _refused_file(error: OSError) -> str:
    """What the system refused, in one line; what is read and can be missing is checked by the verbs."""
    path = os.fsdecode(error.filename)
    if isinstance(error, FileNotFoundError):
        cure = "check the path"
    elif os.path.isfile(path) and not os.access(path, os.R_OK):
        cure = "make it readable"
    else:
        cure = "give another output"
    return f"{path}: {error.strerror}; {cure}"


if __name__ == "__main__":
    sys.exit(main())
