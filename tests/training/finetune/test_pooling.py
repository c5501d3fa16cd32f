"""The last layer starts as a mean: [CLS] then tells texts apart by all of their tokens."""

import torch
from transformers import ElectraConfig, ElectraForSequenceClassification

from training.finetune.pooling import start_with_mean

CONFIG = ElectraConfig(
    vocab_size=90,
    embedding_size=16,
    hidden_size=32,
    intermediate_size=32,
    num_hidden_layers=2,
    num_attention_heads=4,
)


def test_cls_becomes_itself_and_the_mean() -> None:
    torch.manual_seed(0)
    model = ElectraForSequenceClassification(CONFIG).eval()
    start_with_mean(model)
    ids = torch.randint(5, 90, (4, 11))
    seen = torch.ones_like(ids)
    seen[2:, 8:] = 0
    with torch.no_grad():
        states = model.electra(ids, attention_mask=seen, output_hidden_states=True).hidden_states
    below, top = states[-2], states[-1][:, 0]
    weight = seen[..., None].float()
    mean = (below * weight).sum(1) / weight.sum(1)
    expected = torch.nn.functional.layer_norm(below[:, 0] + mean, (32,))
    # The feed-forward part adds little at first.
    assert torch.nn.functional.cosine_similarity(top, expected).min() > 0.99


def test_only_the_last_layer_changes() -> None:
    torch.manual_seed(0)
    model = ElectraForSequenceClassification(CONFIG)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    start_with_mean(model)
    changed = {name for name, value in model.state_dict().items() if not torch.equal(value, before[name])}
    assert changed
    assert all(name.startswith("electra.encoder.layer.1.") for name in changed)
