"""The other kernels compute the same, train as well, and leave no trace in a checkpoint."""

import json
from pathlib import Path
from unittest import mock

import pytest
import torch
from transformers import ElectraConfig, ElectraForSequenceClassification
from transformers.models.electra.modeling_electra import ElectraEncoder

from tests.training.electra.native.available import needs_kernels
from training.finetune import kernels
from training.finetune.kernels import FastDropout, FastEncoder, use_fast_kernels

CONFIG = ElectraConfig(
    vocab_size=90,
    embedding_size=16,
    hidden_size=32,
    intermediate_size=32,
    num_hidden_layers=2,
    num_attention_heads=4,
    hidden_dropout_prob=0.0,
    attention_probs_dropout_prob=0.0,
)


def gradients(model: ElectraForSequenceClassification) -> dict[str, torch.Tensor]:
    torch.manual_seed(1)
    ids = torch.randint(5, 90, (3, 12))
    seen = torch.ones_like(ids)
    seen[1:, 7:] = 0
    model.train().zero_grad()
    model(input_ids=ids, attention_mask=seen, labels=torch.tensor([0, 1, 1])).loss.backward()
    return {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}


def test_gradients_are_the_same() -> None:
    torch.manual_seed(0)
    model = ElectraForSequenceClassification(CONFIG)
    before = gradients(model)
    use_fast_kernels(model, bf16=False)
    after = gradients(model)
    assert before.keys() == after.keys()
    for name, gradient in before.items():
        assert torch.allclose(gradient, after[name], atol=1e-6), name


def test_every_dropout_is_replaced_and_works() -> None:
    model = ElectraForSequenceClassification(
        ElectraConfig(**{**CONFIG.to_dict(), "hidden_dropout_prob": 0.2})
    )
    use_fast_kernels(model, bf16=False)
    found = [module for module in model.modules() if isinstance(module, torch.nn.Dropout)]
    assert found
    assert all(isinstance(module, FastDropout) for module in found)
    ids = torch.randint(5, 90, (2, 8))
    assert not torch.equal(model.train()(ids).logits, model(ids).logits)
    assert torch.equal(model.eval()(ids).logits, model(ids).logits)


def test_a_checkpoint_knows_nothing_of_it(tmp_path: Path) -> None:
    model = ElectraForSequenceClassification(CONFIG)
    names = set(model.state_dict())
    use_fast_kernels(model, bf16=False)
    model.save_pretrained(tmp_path)
    assert set(model.state_dict()) == names
    assert "electra_platform" not in json.dumps(json.loads((tmp_path / "config.json").read_text()))
    again = ElectraForSequenceClassification.from_pretrained(tmp_path).eval()
    ids = torch.randint(5, 90, (2, 8))
    assert torch.allclose(again(ids).logits, model.eval()(ids).logits, atol=1e-6)


WHOLE_BLOCKS = ElectraConfig(**{**CONFIG.to_dict(), "hidden_size": 64, "num_attention_heads": 2})


def trained(
    model: ElectraForSequenceClassification, tokens: int, padded: bool, bfloat16: bool
) -> dict[str, torch.Tensor]:
    torch.manual_seed(1)
    ids, seen = torch.randint(5, 90, (3, tokens)), torch.ones(3, tokens, dtype=torch.int64)
    if padded:
        seen[1:, tokens // 2 :] = 0
    model.train().zero_grad()
    with torch.autocast("cpu", torch.bfloat16, enabled=bfloat16):
        output = model(input_ids=ids, attention_mask=seen, labels=torch.tensor([0, 1, 1]))
    output.loss.backward()
    found = {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}
    return found | {"logits": output.logits.detach().float()}


@needs_kernels
@pytest.mark.parametrize(("tokens", "padded"), [(64, False), (64, True), (40, False), (40, True)])
def test_layers_by_the_kernels_are_those_of_hugging_face(tokens: int, padded: bool) -> None:
    """Also in rows that are no whole number of blocks."""
    torch.manual_seed(0)
    model = ElectraForSequenceClassification(WHOLE_BLOCKS)
    for parameter in model.parameters():
        parameter.data.add_(torch.randn_like(parameter), alpha=0.05)
    use_fast_kernels(model, bf16=True)
    assert type(model.electra.encoder) is FastEncoder
    calls = mock.Mock(side_effect=kernels.run_layer)
    with mock.patch.object(kernels, "run_layer", calls):
        ours = trained(model, tokens, padded, bfloat16=True)
    assert calls.call_count == 2
    model.electra.encoder.__class__ = ElectraEncoder
    theirs = trained(model, tokens, padded, bfloat16=False)
    assert ours.keys() == theirs.keys()
    size = torch.cat([gradient.flatten() for gradient in theirs.values()]).norm()
    for name, wanted in theirs.items():
        # A gradient that is small beside the others is rounding itself.
        assert (ours[name] - wanted).norm() <= 0.05 * wanted.norm() + 1e-4 * size, name


@needs_kernels
def test_the_kernels_leave_no_trace_and_do_what_else_is_asked(tmp_path: Path) -> None:
    model = ElectraForSequenceClassification(WHOLE_BLOCKS)
    names, ids = set(model.state_dict()), torch.randint(5, 90, (2, 40))
    exact = model.eval()(ids).logits
    use_fast_kernels(model, bf16=True)
    assert torch.allclose(model(ids).logits, exact, atol=1e-6), "in float32 it is Hugging Face's own"
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
        assert torch.allclose(model(ids).logits.float(), exact, atol=0.01)
    model.save_pretrained(tmp_path)
    assert set(model.state_dict()) == names
    again = ElectraForSequenceClassification.from_pretrained(tmp_path).eval()
    assert torch.equal(again(ids).logits, exact)


@needs_kernels
def test_another_activation_stays_with_hugging_face() -> None:
    model = ElectraForSequenceClassification(
        ElectraConfig(**{**WHOLE_BLOCKS.to_dict(), "hidden_act": "relu"})
    )
    use_fast_kernels(model, bf16=True)
    assert type(model.electra.encoder) is ElectraEncoder


def test_a_machine_without_the_kernels_has_hugging_faces_layers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernels, "usable", lambda: False)
    model = ElectraForSequenceClassification(WHOLE_BLOCKS)
    use_fast_kernels(model, bf16=True)
    assert type(model.electra.encoder) is ElectraEncoder
