"""From a bundle to Hugging Face directories: ``discriminator`` and ``generator``, or ``classifier``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import torch
from transformers import (
    ElectraConfig,
    ElectraForMaskedLM,
    ElectraForPreTraining,
    ElectraForSequenceClassification,
    ElectraForTokenClassification,
    PreTrainedModel,
)

from app.bundle import Bundle, BundleError, GraphName
from app.bundle_files import read_bundle
from training.checkpoint_directory import newest_bundle
from training.electra.huggingface import quiet_hub
from training.errors import UserError
from training.files import atomic_directory, atomic_file, refuse_to_replace
from training.pretrain.warmstart import RECORD
from training.restore.weights import GraphWeights, read_weights
from training.tokenizer import load_tokenizer, save_tokenizer

LEAST_COSINE = 0.995
"""Between last hidden states of a graph and of what is restored; in int8 the shipped ones have 0.999."""
_WRITTEN = {"discriminator", "generator", "classifier", RECORD}


def restore(bundle_dir: Path, output: Path) -> list[Path]:
    """Write the networks of the bundle in ``bundle_dir`` (or of the newest version there) as checkpoints
    under ``output``; returns their directories.

    An encoder gives ``discriminator`` and, where it has one, ``generator``; a classifier gives
    ``classifier``, without its n-grams. ``pretrain.json`` beside them says what went into the weights. fp32
    is taken where the bundle has it; what comes from int8 is rounded as it is served.

    Raises:
        UserError: no bundle, one that is damaged or of another program, or an ``output`` with other files.
    """
    bundle = _read(bundle_dir)
    _refuse_to_lose(output)
    return _write(bundle, output, "classifier" if bundle.manifest.task == "classify" else "discriminator")


def restore_start(bundle_dir: Path, output: Path) -> list[Path]:
    """The same as a pretraining leaves it: a classifier's network is ``discriminator`` too. What stands in
    ``output`` is replaced.

    Raises:
        UserError: see ``restore``.
    """
    return _write(_read(bundle_dir), output, "discriminator")


def _read(bundle_dir: Path) -> Bundle:
    try:
        # What holds a copy may have any name.
        return read_bundle(newest_bundle(bundle_dir) or bundle_dir, in_place=False)
    except BundleError as error:
        raise UserError(str(error)) from None


def _refuse_to_lose(output: Path) -> None:
    """Only what was restored before, and nothing beside it, may be replaced."""
    refuse_to_replace(output, RECORD, "networks of a bundle")
    if not output.is_dir():
        return
    other = sorted(path.name for path in output.iterdir() if path.name not in _WRITTEN)
    try:
        restored = "bundle" in json.loads((output / RECORD).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        restored = not any(output.iterdir())
    if other or not restored:
        what = other[0] if other else "networks that were not restored from a bundle"
        raise UserError(f"{output}: holds {what}, which would be lost; name another directory as output")


def _write(bundle: Bundle, output: Path, main: str) -> list[Path]:
    """Write the bundle's networks, that of its ``model`` graph as ``main``; returns their directories."""
    tokenizer = load_tokenizer(bundle.tokenizer_file)
    names: dict[str, GraphName] = {main: "model"}
    if "generator" in bundle.manifest.graphs:
        names["generator"] = "generator"
    with atomic_directory(output) as temporary:
        for name, graph in names.items():
            file = _best_file(bundle, graph)
            model = _network(read_weights(file), bundle, graph, file)
            with quiet_hub():
                model.save_pretrained(temporary / name)
            save_tokenizer(tokenizer, temporary / name)
        with atomic_file(temporary / RECORD, "w", encoding="utf-8") as stream:
            json.dump(_record(bundle), stream, indent=1, ensure_ascii=False)
    return [output / name for name in names]


def _best_file(bundle: Bundle, graph: GraphName) -> Path:
    files = bundle.manifest.graphs[graph].files
    return bundle.graph_file(graph, "fp32" if "fp32" in files else "int8")


def _record(bundle: Bundle) -> dict[str, Any]:
    manifest = bundle.manifest
    known = manifest.provenance
    return {
        "bundle": f"{manifest.name}/{manifest.version}",
        "tokens_seen": known.tokens_seen,
        "hardware": known.hardware,
        "corpus_digest": known.corpus_digest,
        "licence": known.licence,
        "data": known.data,
    }


def _network(weights: GraphWeights, bundle: Bundle, graph: GraphName, file: Path) -> PreTrainedModel:
    """The Hugging Face model of a graph, filled, and compared with the graph.

    Raises:
        UserError: weights are missing or left over, or it computes something else.
    """
    tensors = {name: torch.from_numpy(np.array(value)) for name, value in weights.tensors.items()}
    model_class = _model_class(bundle, graph, tensors)
    if model_class is ElectraForMaskedLM:
        tensors["generator_lm_head.weight"] = tensors["electra.embeddings.word_embeddings.weight"]
    try:
        with quiet_hub():
            model = model_class(_config(weights, bundle, graph))
        missing, unexpected = model.load_state_dict(tensors, strict=False)
    except (KeyError, RuntimeError) as error:
        raise UserError(f"{file}: {_not_ours(str(error).strip().splitlines()[-1].strip())}") from None
    missing = [name for name in missing if not name.endswith(("position_ids", "token_type_ids"))]
    if missing or unexpected:
        problem = f"no {missing[0]}" if missing else f"{unexpected[0]} has no place"
        raise UserError(f"{file}: {_not_ours(problem)}")
    model.eval()
    cosine = _agreement(model, weights, file)
    if not cosine >= LEAST_COSINE:
        raise UserError(f"{file}: {_not_ours(f'restored, it computes something else (cosine {cosine:.3f})')}")
    return model


def _not_ours(problem: str) -> str:
    return f"does not hold an ELECTRA network as `electra-train export` writes it: {problem}"


def _model_class(bundle: Bundle, graph: GraphName, tensors: dict[str, Any]) -> type[PreTrainedModel]:
    if graph == "generator":
        return ElectraForMaskedLM
    if bundle.manifest.task == "classify":
        return ElectraForSequenceClassification
    pretrained = "discriminator_predictions.dense.weight" in tensors
    return ElectraForPreTraining if pretrained else ElectraForTokenClassification


def _config(weights: GraphWeights, bundle: Bundle, graph: GraphName) -> ElectraConfig:
    tensors, manifest = weights.tensors, bundle.manifest
    embeddings = "electra.embeddings"
    vocabulary, width = tensors[f"{embeddings}.word_embeddings.weight"].shape
    inner, hidden = tensors["electra.encoder.layer.0.intermediate.dense.weight"].shape
    labels = list(manifest.labels) if manifest.task == "classify" else ["original", "replaced"]
    values: dict[str, Any] = {}
    if graph == "model":
        values = {
            "id2label": dict(enumerate(labels)),
            "label2id": {label: at for at, label in enumerate(labels)},
        }
    if manifest.problem_type == "multi_label":
        values["problem_type"] = "multi_label_classification"
    return ElectraConfig(
        vocab_size=vocabulary,
        embedding_size=width,
        hidden_size=hidden,
        num_hidden_layers=weights.layers,
        num_attention_heads=hidden // weights.head_size,
        intermediate_size=inner,
        max_position_embeddings=len(tensors[f"{embeddings}.position_embeddings.weight"]),
        type_vocab_size=len(tensors[f"{embeddings}.token_type_embeddings.weight"]),
        layer_norm_eps=weights.layer_norm_eps,
        pad_token_id=manifest.special_tokens.pad,
        **values,
    )


def _agreement(model: PreTrainedModel, weights: GraphWeights, file: Path) -> float:
    """Mean cosine between last hidden states of ``model`` and of the graph, on rows of drawn ids."""
    graph = onnx.load(file)
    hidden = onnx.helper.make_tensor_value_info(weights.last_hidden, onnx.TensorProto.FLOAT, None)
    graph.graph.output.append(hidden)
    session = ort.InferenceSession(graph.SerializeToString(), providers=["CPUExecutionProvider"])
    draw = np.random.default_rng(0)
    length = min(48, model.config.max_position_embeddings)
    ids = draw.integers(5, model.config.vocab_size, (4, length))
    feed = {
        "input_ids": ids,
        "attention_mask": np.ones_like(ids),
        "token_type_ids": np.zeros_like(ids),
        "positions": np.array([1], dtype=np.int64),
    }
    taken = {value.name for value in session.get_inputs()}
    (served,) = session.run([weights.last_hidden], {name: feed[name] for name in feed if name in taken})
    with torch.no_grad():
        ours = model.electra(
            torch.from_numpy(ids),
            attention_mask=torch.from_numpy(feed["attention_mask"]),
            token_type_ids=torch.from_numpy(feed["token_type_ids"]),
        ).last_hidden_state
    return float(torch.nn.functional.cosine_similarity(ours, torch.from_numpy(served), dim=-1).mean())
