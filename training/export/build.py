"""From checkpoint directories to one bundle: graphs, checks, figures, manifest, one rename at the end."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer
from tqdm import tqdm

from app import bundle as b
from app.bundle_files import file_entry, read_bundle, write_manifest
from app.runtime.threads import available_threads
from app.text.encoder import TextEncoder
from training.errors import UserError
from training.export.calibration import UNCALIBRATED
from training.export.card import model_card
from training.export.checkpoint import (
    Checkpoint,
    load_checkpoint,
    load_matching_tokenizer,
    require_same_vocabulary,
)
from training.export.config import ExportConfig
from training.export.draft import Draft, check_graphs
from training.export.fit import fit_encoder
from training.export.graphs import (
    ENCODER_OUTPUTS,
    INPUTS,
    ClassifierGraph,
    EncoderGraph,
    GeneratorGraph,
    write_graph,
)
from training.export.precisions import choose_precisions
from training.export.provenance import provenance
from training.export.target import target_directory
from training.export.texts import pieces_of_lengths, read_documents
from training.export.tokenizers_agree import require_same_ids
from training.files import atomic_directory
from training.tokenizer import special_tokens

_STEPS = 7


def export(config: ExportConfig, *, progress: bool = True) -> Path:
    """Write ``<models_dir>/<name>/<version>`` and return it.

    Everything is written to a temporary directory beside it and renamed at the end, so that a run that is
    stopped leaves nothing that could be loaded.

    Raises:
        UserError: a checkpoint, text or table that cannot be used; a graph that differs from its
            checkpoint; int8 that loses too much where it was to be the only precision.
    """
    with tqdm(total=_STEPS, desc="export", unit="step", disable=not progress) as bar, _threads(config):
        texts = 0

        def step(name: str) -> None:
            nonlocal texts
            texts = 0
            bar.set_postfix_str("", refresh=False)
            bar.set_description(f"export: {name}")
            bar.update()

        def on_texts(more: int) -> None:
            nonlocal texts
            texts += more
            bar.set_postfix_str(f"{texts:,} texts")

        bar.set_description("export: checkpoint")
        checkpoint, generator, tokenizer = _load(config)
        target = target_directory(config)
        _sweep(target.parent)
        documents = read_documents(config.texts)
        with atomic_directory(target) as root:
            step("graphs")
            draft = _draft(config, root, checkpoint, generator, tokenizer, documents)
            draft.on_texts = on_texts  # a step may take minutes: the bar shows that it moves
            step("parity")
            parity = check_graphs(draft, checkpoint, generator)
            step("precisions")
            warnings = [*_unstated(config), *choose_precisions(draft)]
            step("calibration")
            if checkpoint.kind == "discriminator":
                fit_encoder(draft)
            step("manifest")
            card = root / "README.md"
            card.write_text(model_card(draft.manifest, config.languages), encoding="utf-8")
            draft.manifest = draft.manifest.model_copy(update={"card": file_entry(root, card.name)})
            write_manifest(root, draft.manifest)
        step("verify")
        read_bundle(target)
        bar.update()
    for line in (*(f"parity, {result}" for result in parity), *warnings):
        tqdm.write(line)
    return target


def _load(config: ExportConfig) -> tuple[Checkpoint, Checkpoint | None, Tokenizer]:
    checkpoint = load_checkpoint(Path(config.checkpoint))
    if checkpoint.kind == "generator":
        raise UserError(
            f"{checkpoint.path}: is a generator; name its discriminator as `checkpoint`, this as `generator`"
        )
    tokenizer = load_matching_tokenizer(checkpoint)
    if config.generator is None:
        return checkpoint, None, tokenizer
    if checkpoint.kind == "classifier":
        raise UserError(f"{config.generator}: a classifier needs no generator; leave `generator` out")
    generator = load_checkpoint(Path(config.generator))
    if generator.kind != "generator":
        raise UserError(f"{generator.path}: is a {generator.kind}, not a generator (ElectraForMaskedLM)")
    require_same_vocabulary(checkpoint, generator, tokenizer)
    return checkpoint, generator, tokenizer


def _sweep(parent: Path) -> None:
    """Remove what exports that were killed have left behind."""
    for path in parent.glob(".*.tmp"):
        process = path.name.split(".")[-2]
        if process.isdecimal() and not _is_running(int(process)):
            shutil.rmtree(path, ignore_errors=True)


def _is_running(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


@contextmanager
def _threads(config: ExportConfig) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(config.threads or available_threads())
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _draft(
    config: ExportConfig,
    root: Path,
    checkpoint: Checkpoint,
    generator: Checkpoint | None,
    tokenizer: Tokenizer,
    documents: list[str],
) -> Draft:
    """fp32 graphs and a manifest that describes them, so that they can be run as they will be served."""
    tokenizer.save(str(root / b.TOKENIZER_NAME))
    special = special_tokens(tokenizer)
    encoder = TextEncoder(root / b.TOKENIZER_NAME, special, checkpoint.max_tokens)
    pieces = pieces_of_lengths(documents, encoder, config.parity_texts, config.seed)
    require_same_ids(checkpoint.path, checkpoint.vocab_size, encoder, documents)
    graphs: dict[b.GraphName, b.Graph] = {}
    if checkpoint.kind == "classifier":
        write_graph(ClassifierGraph(checkpoint.model, checkpoint.ngrams), root / "model.onnx", ["logits"])
        graphs["model"] = _graph(root, "model.onnx", [*INPUTS], ["logits"])
    else:
        try:
            module = EncoderGraph(checkpoint.model, config.layers)
        except ValueError as error:
            raise UserError(f"layers: {error}") from None
        write_graph(module, root / "model.onnx", ENCODER_OUTPUTS)
        graphs["model"] = _graph(root, "model.onnx", [*INPUTS], [*ENCODER_OUTPUTS])
    if generator is not None:
        write_graph(GeneratorGraph(generator.model), root / "generator.onnx", ["logits"])
        graphs["generator"] = _graph(root, "generator.onnx", [*INPUTS, "positions"], ["logits"])
    return Draft(config, root, _manifest(config, root, checkpoint, special, graphs), documents, pieces)


def _graph(root: Path, file: str, inputs: list[str], outputs: list[str]) -> b.Graph:
    return b.Graph(
        inputs=inputs, outputs=outputs, files={"fp32": file_entry(root, file)}, default_precision="fp32"
    )


def _manifest(
    config: ExportConfig,
    root: Path,
    checkpoint: Checkpoint,
    special: b.SpecialTokens,
    graphs: dict[b.GraphName, b.Graph],
) -> b.Manifest:
    own: dict[str, Any]
    if checkpoint.kind == "classifier":
        own = {
            "task": "classify",
            "problem_type": checkpoint.problem_type,
            "labels": checkpoint.labels,
            "ngram_terms": checkpoint.ngrams and checkpoint.ngrams.terms,
        }
    else:
        own = {
            "task": "encode",
            "calibration": UNCALIBRATED,
            "pooling": b.Pooling(layers=list(config.layers), pooling=config.pooling, method=config.method),
        }
    return b.Manifest(
        name=config.name,
        version=target_directory(config).name,
        max_tokens=checkpoint.max_tokens,
        vocab_size=checkpoint.vocab_size,
        hidden_size=int(checkpoint.model.config.hidden_size),
        special_tokens=special,
        graphs=graphs,
        tokenizer=file_entry(root, b.TOKENIZER_NAME),
        experimental=config.experimental,
        provenance=provenance(config, checkpoint.path),
        **own,
    )


def _unstated(config: ExportConfig) -> list[str]:
    if config.licence:
        return []
    return ["licence: not stated, and the model card says so; name it with --licence, such as apache-2.0"]
