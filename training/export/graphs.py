"""Checkpoints as ONNX graphs, in the shapes that ``app.bundle`` promises.

The TorchScript-based exporter (``dynamo=False``) is used because its graphs run 6 to 16 % faster in
onnxruntime on CPU than those of the newer exporter. Eager attention with an additive mask ``[batch, 1, 1,
tokens]`` gives the fewest nodes, and no node whose shape was frozen by tracing.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path

import onnx
import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from training.ngrams.model import NgramClassifier

OPSET = 17
INPUTS = ("input_ids", "attention_mask", "token_type_ids")
ENCODER_OUTPUTS = ("logits", "hidden")
_MASKED = -10_000.0  # a float16 and a bfloat16 can hold it too; exp(-10000) is 0 in all of them


class EncoderGraph(nn.Module):
    """Replaced-token logits ``[batch, tokens]`` and averaged layers ``[batch, tokens, hidden]``.

    ``model`` is an ``ElectraForPreTraining``, or an ``ElectraForTokenClassification`` with two labels whose
    logit difference is the replaced-token logit. Layer 0 is the embeddings' output, -1 the last layer.
    """

    def __init__(self, model: PreTrainedModel, layers: Sequence[int]) -> None:
        super().__init__()
        self.model = model
        count = model.config.num_hidden_layers + 1
        for layer in layers:
            if not -count <= layer < count:
                raise ValueError(f"layer {layer} does not exist: the model has layers 0 to {count - 1}")
        self.layers: list[int] = [layer % count for layer in layers]

    def forward(
        self, input_ids: Tensor, attention_mask: Tensor, token_type_ids: Tensor
    ) -> tuple[Tensor, Tensor]:
        states = encode(self.model.electra, input_ids, attention_mask, token_type_ids)
        if hasattr(self.model, "discriminator_predictions"):
            logits = self.model.discriminator_predictions(states[-1])
        else:
            both = self.model.classifier(states[-1])
            logits = both[..., 1] - both[..., 0]
        hidden = states[self.layers[0]]
        for layer in self.layers[1:]:
            hidden = hidden + states[layer]
        return logits, hidden / len(self.layers) if len(self.layers) > 1 else hidden


class GeneratorGraph(nn.Module):
    """Vocabulary logits ``[positions, vocabulary]`` at ``positions`` of the flattened ``[batch * tokens]``
    grid.

    Positions are gathered before the vocabulary head, which is most of the generator's arithmetic.
    """

    def __init__(self, model: PreTrainedModel) -> None:
        super().__init__()
        self.model = model

    def forward(
        self, input_ids: Tensor, attention_mask: Tensor, token_type_ids: Tensor, positions: Tensor
    ) -> Tensor:
        hidden = encode(self.model.electra, input_ids, attention_mask, token_type_ids)[-1]
        chosen = hidden.reshape(-1, hidden.shape[-1]).index_select(0, positions)
        return self.model.generator_lm_head(self.model.generator_predictions(chosen))


class ClassifierGraph(nn.Module):
    """Label logits ``[batch, labels]``, those of n-grams in them where there are any."""

    def __init__(self, model: PreTrainedModel, ngrams: NgramClassifier | None = None) -> None:
        super().__init__()
        self.model = model
        self.ngrams = ngrams

    def forward(self, input_ids: Tensor, attention_mask: Tensor, token_type_ids: Tensor) -> Tensor:
        states = encode(self.model.electra, input_ids, attention_mask, token_type_ids)
        logits = self.model.classifier(states[-1])
        return logits if self.ngrams is None else self.ngrams.join(logits, input_ids)


def encode(
    electra: nn.Module, input_ids: Tensor, attention_mask: Tensor, token_type_ids: Tensor
) -> tuple[Tensor, ...]:
    """Hidden states of every layer, embeddings first, each ``[batch, tokens, hidden]``."""
    additive = (1.0 - attention_mask[:, None, None, :].to(torch.float32)) * _MASKED
    output = electra(
        input_ids, attention_mask=additive, token_type_ids=token_type_ids, output_hidden_states=True
    )
    return tuple(output.hidden_states)


def write_graph(module: nn.Module, path: Path, outputs: Sequence[str]) -> None:
    """Export one of the graphs above to ``path`` and check it.

    ``batch``, ``tokens`` and ``positions`` are dynamic; the opset is 17. The generator's vocabulary head is
    its embedding table, which the file holds once.
    """
    example = torch.full((2, 8), 5, dtype=torch.int64)
    arguments = [example, torch.ones_like(example), torch.zeros_like(example)]
    names = list(INPUTS)
    axes = {name: {0: "batch", 1: "tokens"} for name in INPUTS}
    if isinstance(module, GeneratorGraph):
        arguments.append(torch.tensor([1, 9, 10]))
        names.append("positions")
        axes |= {"positions": {0: "positions"}, outputs[0]: {0: "positions"}}
    elif isinstance(module, ClassifierGraph):
        axes[outputs[0]] = {0: "batch"}
    else:
        axes |= {name: {0: "batch", 1: "tokens"} for name in outputs}
    with torch.no_grad(), warnings.catch_warnings():
        # The exporter's own notices on its successor and on constants that tracing keeps; parity is measured
        # instead.
        warnings.simplefilter("ignore")
        torch.onnx.export(
            module.eval(),
            tuple(arguments),
            str(path),
            input_names=names,
            output_names=list(outputs),
            dynamic_axes=axes,
            opset_version=OPSET,
            dynamo=False,
        )
    onnx.checker.check_model(onnx.load(path), full_check=True)
