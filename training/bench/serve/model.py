"""The model that everybody serves when no bundle is given: ELECTRA-small with random weights.

Speed does not depend on the weights. It is written by transformers and goes through the project's own export,
like any other model.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from training.errors import UserError

SCRATCH = Path(tempfile.gettempdir()) / "electra-bench-serve"
NAME = "bench-small"
LABELS = ("finance", "science", "sports", "world")
ENGLISH = ("the", "of", "and", "to", "is", "that", "for", "it", "was", "with", "not", "this", "have")
VOCABULARY = 21_128
_SPREAD = 40.0
"""Widens the random head's weights, so that the texts' scores differ and a mix-up of answers shows."""


@dataclass(frozen=True)
class RandomModel:
    """Where it is: a Hugging Face directory, and a model repository with its bundle."""

    directory: Path

    @property
    def checkpoint(self) -> Path:
        return self.directory / "checkpoint"

    @property
    def models_dir(self) -> Path:
        return self.directory / "models"

    @property
    def bundle(self) -> Path:
        return self.models_dir / NAME / "1"


def random_model(work: Path, *, toy: bool = False) -> RandomModel:
    """The model under ``work``, made when it is not there, in a process of its own: torch is not to stay.

    Raises:
        UserError: it could not be made; the message is the last line of the attempt.
    """
    model = RandomModel(work / ("toy" if toy else "model"))
    if not (model.bundle / "bundle.json").is_file():
        command = [sys.executable, "-m", "training.bench.serve.model", str(model.directory)]
        done = subprocess.run(
            [*command, "--toy"] if toy else command,
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])},
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise UserError(f"the model could not be exported: {(done.stderr.splitlines() or ['?'])[-1]}")
    return model


def write_checkpoint(directory: Path, *, small: bool = True, seed: int = 0) -> None:
    """A classifier in Hugging Face form, with its tokenizer.

    Args:
        small: the size of ELECTRA-small (Clark et al. 2020, table 6); otherwise a toy of two thin layers.
    """
    import torch
    from transformers import ElectraConfig, ElectraForSequenceClassification

    from training.tokenizer import (
        CHINESE_PUNCTUATION,
        LATIN_ALPHABET,
        SPECIAL_TOKENS,
        common_hanzi,
        save_tokenizer,
        untrained,
    )

    tokens = [*SPECIAL_TOKENS, *LATIN_ALPHABET, *(f"##{sign}" for sign in LATIN_ALPHABET)]
    tokens += [*CHINESE_PUNCTUATION, *common_hanzi()]
    tokens += ENGLISH
    tokens = list(dict.fromkeys(token.lower() for token in tokens if not token.startswith("[")))
    tokens = [*SPECIAL_TOKENS, *(token for token in tokens if token not in SPECIAL_TOKENS), "[", "##["]
    tokens += [f"[unused{number}]" for number in range(VOCABULARY - len(tokens))]
    tokenizer = untrained(
        {token: index for index, token in enumerate(tokens)}, lowercase=True, strip_accents=True
    )
    sizes = (
        {"num_hidden_layers": 12, "hidden_size": 256, "intermediate_size": 1024, "num_attention_heads": 4}
        if small
        else {"num_hidden_layers": 2, "hidden_size": 32, "intermediate_size": 64, "num_attention_heads": 2}
    )
    torch.manual_seed(seed)
    config = ElectraConfig(
        vocab_size=len(tokens),
        embedding_size=128 if small else 16,
        max_position_embeddings=512,
        id2label=dict(enumerate(LABELS)),
        label2id={label: index for index, label in enumerate(LABELS)},
        **sizes,
    )
    model = ElectraForSequenceClassification(config).eval()
    with torch.no_grad():
        model.classifier.out_proj.weight *= _SPREAD
    model.save_pretrained(directory)
    save_tokenizer(tokenizer, directory)


def write_bundle(checkpoint: Path, models_dir: Path) -> Path:
    """Export ``checkpoint`` in fp32 and int8; returns the bundle's directory."""
    from training.export.build import export
    from training.export.config import ExportConfig

    config = ExportConfig(
        name=NAME,
        checkpoint=str(checkpoint),
        models_dir=str(models_dir),
        version="1",
        replace=True,
        # Random weights have no quality to lose.
        allow_quality_loss=True,
        parity_texts=20,
        quality_rows=50,
        experimental=True,
    )
    return export(config, progress=False)


def main() -> int:
    """Write the checkpoint and the bundle."""
    parser = argparse.ArgumentParser(description="Write the benchmark's checkpoint and bundle.")
    parser.add_argument("directory", type=Path)
    parser.add_argument("--toy", action="store_true", help="two thin layers")
    options = parser.parse_args()
    model = RandomModel(options.directory)
    write_checkpoint(model.checkpoint, small=not options.toy)
    write_bundle(model.checkpoint, model.models_dir)
    return 0


if __name__ == "__main__":
    sys.exit(main())
