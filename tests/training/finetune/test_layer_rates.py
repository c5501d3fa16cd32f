"""Every parameter has one learning rate, and it is the one that the formula gives."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch
from torch import nn
from transformers import ElectraConfig, ElectraForPreTraining, ElectraForSequenceClassification

from training.finetune.layer_rates import depth_of, learning_rate_at, parameter_groups


def _config(layers: int) -> ElectraConfig:
    return ElectraConfig(
        vocab_size=40,
        embedding_size=8,
        hidden_size=16,
        num_hidden_layers=layers,
        num_attention_heads=2,
        intermediate_size=16,
    )


def _rates(model: nn.Module, layers: int, **options: object) -> dict[str, float]:
    groups = parameter_groups(
        model.named_parameters(), layers, learning_rate=3e-4, layer_decay=0.8, **options
    )
    return {name: group["lr"] for group in groups for name in group["names"]}


# From the paper's small model: 12 layers, 3e-4, 0.8; the reference's figures are those of its own slip.
@pytest.mark.parametrize(
    ("form", "top", "bottom", "embeddings"),
    [("published", 2.4e-4, 3e-4 * 0.8**12, 3e-4 * 0.8**13), ("reference", 1.92e-4, 1.649e-5, 1.319e-5)],
)
def test_rates_of_twelve_layers(form: str, top: float, bottom: float, embeddings: float) -> None:
    rates = _rates(ElectraForSequenceClassification(_config(12)), 12, form=form)
    assert rates["classifier.out_proj.weight"] == 3e-4
    assert rates["electra.encoder.layer.11.output.dense.weight"] == pytest.approx(top, rel=1e-3)
    assert rates["electra.encoder.layer.0.output.dense.weight"] == pytest.approx(bottom, rel=1e-3)
    assert rates["electra.embeddings.word_embeddings.weight"] == pytest.approx(embeddings, rel=1e-3)
    assert rates["electra.embeddings_project.weight"] == pytest.approx(embeddings, rel=1e-3)


@pytest.mark.parametrize("form", ["published", "reference"])
def test_layer_one_is_not_layer_ten(form: str) -> None:
    rates = _rates(ElectraForSequenceClassification(_config(12)), 12, form=form)
    bias = "electra.encoder.layer.{}.attention.self.query.bias"
    ordered = [rates[bias.format(layer)] for layer in range(12)]
    assert [b / a for a, b in pairwise(ordered)] == pytest.approx([1 / 0.8] * 11)


@pytest.mark.parametrize("kind", [ElectraForSequenceClassification, ElectraForPreTraining])
def test_every_parameter_stands_in_exactly_one_group(kind: type[nn.Module]) -> None:
    model = kind(_config(3))
    groups = parameter_groups(model.named_parameters(), 3, learning_rate=1.0, layer_decay=0.5)
    members = [id(parameter) for group in groups for parameter in group["params"]]
    assert len(members) == len(set(members))
    assert set(members) == {id(parameter) for parameter in model.parameters()}


def test_biases_and_norms_are_not_decayed() -> None:
    model = ElectraForSequenceClassification(_config(2))
    groups = parameter_groups(
        model.named_parameters(), 2, learning_rate=1.0, layer_decay=1.0, weight_decay=0.01
    )
    decayed = {name for group in groups if group["weight_decay"] for name in group["names"]}
    assert decayed == {n for n, _ in model.named_parameters() if "LayerNorm" not in n and "bias" not in n}


def test_frozen_parameters_are_left_out_and_all_frozen_is_refused() -> None:
    model = ElectraForSequenceClassification(_config(1))
    model.electra.embeddings.requires_grad_(False)
    rates = _rates(model, 1)
    assert not any(name.startswith("electra.embeddings.") for name in rates)
    with pytest.raises(ValueError, match="all are frozen"):
        parameter_groups(model.requires_grad_(False).named_parameters(), 1, learning_rate=1, layer_decay=1)


def test_unknown_parameters_raise() -> None:
    parameter = nn.Parameter(torch.zeros(1))
    with pytest.raises(ValueError, match=r"'pooler\.dense\.weight' belongs to no part"):
        parameter_groups([("pooler.dense.weight", parameter)], 2, learning_rate=1.0, layer_decay=1.0)
    with pytest.raises(ValueError, match="of layer 2, but the model has 2 layers"):
        depth_of("electra.encoder.layer.2.output.dense.bias", 2)


def test_no_decay_means_one_rate() -> None:
    assert {learning_rate_at(depth, 0.1, 1.0, "published") for depth in range(5)} == {0.1}
