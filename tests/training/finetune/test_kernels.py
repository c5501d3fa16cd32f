"""The other kernels compute the same, train as well, and leave no trace in a checkpoint."""

import json
from pathlib import Path

import torch
from transformers import ElectraConfig, ElectraForSequenceClassification

from training.finetune.kernels import FastDropout, use_fast_kernels

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
    use_fast_kernels(model)
    after = gradients(model)
    assert before.keys() == after.keys()
    for name, gradient in before.items():
        assert torch.allclose(gradient, after[name], atol=1e-6), name


def test_every_dropout_is_replaced_and_works() -> None:
    model = ElectraForSequenceClassification(
        ElectraConfig(**{**CONFIG.to_dict(), "hidden_dropout_prob": 0.2})
    )
    use_fast_kernels(model)
    found = [module for module in model.modules() if isinstance(module, torch.nn.Dropout)]
    assert found
    assert all(isinstance(module, FastDropout) for module in found)
    ids = torch.randint(5, 90, (2, 8))
    assert not torch.equal(model.train()(ids).logits, model(ids).logits)
    assert torch.equal(model.eval()(ids).logits, model(ids).logits)


def test_a_checkpoint_knows_nothing_of_it(tmp_path: Path) -> None:
    model = ElectraForSequenceClassification(CONFIG)
    names = set(model.state_dict())
    use_fast_kernels(model)
    model.save_pretrained(tmp_path)
    assert set(model.state_dict()) == names
    assert "electra_platform" not in json.dumps(json.loads((tmp_path / "config.json").read_text()))
    again = ElectraForSequenceClassification.from_pretrained(tmp_path).eval()
    ids = torch.randint(5, 90, (2, 8))
    assert torch.allclose(again(ids).logits, model.eval()(ids).logits, atol=1e-6)
