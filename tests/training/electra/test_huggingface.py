"""Our networks and transformers' give the same logits and losses, both ways."""

from dataclasses import replace

import pytest
import torch
from transformers import ElectraForMaskedLM, ElectraForPreTraining

from tests.training.electra.test_losses import MASK, make_batch
from tests.training.electra.test_model import TINY
from training.electra.huggingface import load_discriminator, load_generator, to_discriminator, to_generator
from training.electra.losses import corrupted_input, joint_forward, masked_input
from training.electra.model import Electra
from training.electra.sampling import sample_tokens
from training.errors import UserError


@pytest.fixture(params=["shared", "gdes", "none"])
def model(request: pytest.FixtureRequest) -> Electra:
    torch.manual_seed(3)
    model = Electra(replace(TINY, embedding_sharing=request.param)).eval()
    for parameter in model.parameters():  # away from the zeros and ones of a fresh model
        torch.nn.init.normal_(parameter, std=0.05)
    return model


def test_discriminator_logits_and_loss(model: Electra) -> None:
    batch = make_batch()
    sums = joint_forward(model, batch, MASK)
    ids = batch.ids.clone()
    replaced = sums.labels
    # What the discriminator saw is rebuilt from its labels and a second pass with the same draws.
    hidden = model.generator(masked_input(batch, MASK), batch.positions, batch.segments)
    logits = model.generator_head(hidden.reshape(-1, hidden.shape[-1])[batch.masked])
    corrupted = corrupted_input(batch, sample_tokens(logits, batch.uniforms))
    assert torch.equal(corrupted != ids, replaced)
    theirs = to_discriminator(model)(
        input_ids=corrupted, attention_mask=(batch.segments > 0).long(), labels=replaced.long()
    )
    real = batch.segments > 0
    torch.testing.assert_close(sums.logits[real], theirs.logits[real].float(), atol=1e-5, rtol=0)
    torch.testing.assert_close(sums.discriminator / sums.tokens, theirs.loss, atol=1e-5, rtol=0)


def test_generator_logits_and_loss(model: Electra) -> None:
    batch = make_batch()
    labels = torch.full_like(batch.ids, -100).reshape(-1)
    used = batch.masked[batch.masked_weights > 0]
    labels[used] = batch.ids.reshape(-1)[used]
    theirs = to_generator(model)(
        input_ids=masked_input(batch, MASK),
        attention_mask=(batch.segments > 0).long(),
        labels=labels.view_as(batch.ids),
    )
    sums = joint_forward(model, batch, MASK)
    torch.testing.assert_close(sums.generator / sums.masked, theirs.loss, atol=1e-5, rtol=0)


def test_there_and_back(tmp_path, model: Electra) -> None:
    to_discriminator(model).save_pretrained(tmp_path / "d")
    to_generator(model).save_pretrained(tmp_path / "g")
    discriminator = ElectraForPreTraining.from_pretrained(tmp_path / "d").eval()
    generator = ElectraForMaskedLM.from_pretrained(tmp_path / "g").eval()
    assert generator.generator_lm_head.weight is generator.electra.embeddings.word_embeddings.weight
    fresh = Electra(replace(TINY, embedding_sharing="none")).eval()
    assert load_discriminator(fresh, discriminator.state_dict()) == []
    assert load_generator(fresh, generator.state_dict()) == []
    ids, positions = torch.randint(5, 120, (2, 11)), torch.arange(11).expand(2, 11)
    with torch.no_grad():
        ours = fresh.discriminator_head(fresh.discriminator(ids, positions, None))
        torch.testing.assert_close(ours, discriminator(ids).logits, atol=1e-5, rtol=0)
        words = fresh.generator_head(fresh.generator(ids, positions, None))
        torch.testing.assert_close(words, generator(ids).logits, atol=1e-5, rtol=0)


def test_something_else_is_refused() -> None:
    with pytest.raises(UserError, match=r"no encoder\.layer\.0"):
        load_discriminator(Electra(TINY), {"weight": torch.zeros(2)})
