"""Do the parts of a bundle fit each other? Checked before it serves, with the graph itself as the witness."""

from __future__ import annotations

import numpy as np

from app.bundle import Bundle, BundleError, GraphName
from app.runtime.batch import Session, Shape
from app.runtime.calibrate import sample_rows
from app.runtime.out_of_memory import reraise_out_of_memory
from app.runtime.rows import GraphShape
from app.text.encoder import TextEncoder

_GRID = {"input_ids", "attention_mask", "token_type_ids"}
_REQUIRED = {"input_ids", "attention_mask"}
_CURE = "export the bundle again"


def check_vocabulary(bundle: Bundle, encoder: TextEncoder) -> None:
    """The tokenizer has exactly the ids that the graph was trained with.

    Raises:
        BundleError: it has more or fewer.
    """
    expected = bundle.manifest.vocab_size
    if encoder.vocab_size != expected:
        raise BundleError(
            bundle.tokenizer_file,
            f"has {encoder.vocab_size} entries, bundle.json says {expected}",
            "export the bundle with the tokenizer it was trained with",
        )


def check_graph(bundle: Bundle, graph: GraphName, session: Session) -> None:
    """Names and sizes that the file declares are those of the manifest, and one batch computes.

    The batch holds the first and the last id of the vocabulary, so an embedding that is too small shows here.

    Raises:
        BundleError: something does not fit.
        MemoryError: there is not enough of it now.
    """
    file = bundle.graph_file(graph)
    shape = GraphShape.of(bundle, graph)
    _check_names(bundle, graph, session)
    for name, size in _expected_width(bundle, graph).items():
        _check_width(bundle, graph, name, session.output_shapes[name], size)
    try:
        outputs = session.run(sample_rows(shape, 2))[0]
    except Exception as error:  # each backend raises its own
        reraise_out_of_memory(error)
        lines = str(error).strip().splitlines() or [type(error).__name__]
        raise BundleError(file, f"cannot compute one batch ({lines[0]})", _CURE) from error
    rows = {"tokens": sample_rows(shape, 1)[0].input_ids.size, "positions": 4, "sequence": None}[shape.layout]
    for name, array in outputs.items():
        width = _expected_width(bundle, graph).get(name)
        expected = tuple(size for size in (rows, width) if size is not None)
        if shape.layout == "positions":
            expected = (min(4, shape.max_tokens), bundle.manifest.vocab_size)
        if array.shape != expected:
            raise BundleError(file, f"gives {name} {array.shape} where {expected} is expected", _CURE)
        if not np.isfinite(array).all():
            raise BundleError(file, f"gives {name} that is not finite", _CURE)


def _check_names(bundle: Bundle, graph: GraphName, session: Session) -> None:
    file = bundle.graph_file(graph)
    declared = bundle.manifest.graphs[graph]
    known = _GRID | ({"positions"} if graph == "generator" else set())
    required = _REQUIRED | (known - _GRID)
    inputs, outputs = set(declared.inputs), set(declared.outputs)
    if not required <= inputs <= known:
        raise BundleError(file, f"takes {_names(inputs)} where {_names(known)} can be fed", _CURE)
    if inputs != set(session.input_shapes):
        raise BundleError(
            file, f"takes {_names(session.input_shapes)}, bundle.json says {_names(inputs)}", _CURE
        )
    wanted = {"logits", "hidden"} if bundle.manifest.task == "encode" and graph == "model" else {"logits"}
    if not wanted <= outputs or not outputs <= set(session.output_shapes):
        raise BundleError(
            file, f"gives {_names(session.output_shapes)} where {_names(wanted | outputs)} is expected", _CURE
        )


def _expected_width(bundle: Bundle, graph: GraphName) -> dict[str, int]:
    """Last dimension of each output that has a fixed one."""
    manifest = bundle.manifest
    if graph == "generator":
        return {"logits": manifest.vocab_size}
    if manifest.task == "classify":
        return {"logits": len(manifest.labels)}
    return {"hidden": manifest.hidden_size}


def _check_width(bundle: Bundle, graph: GraphName, name: str, shape: Shape, size: int) -> None:
    last = shape[-1] if shape else None
    if isinstance(last, int) and last != size:
        raise BundleError(
            bundle.graph_file(graph), f"output {name} is {last} wide, bundle.json means {size}", _CURE
        )


def _names(names: object) -> str:
    return ", ".join(sorted(names)) if isinstance(names, (set, dict)) else str(names)
