"""Other people's weights: ELECTRA and BERT directories, the same vocabulary or a new one."""

import dataclasses
import json
from pathlib import Path

import pytest
import torch
from transformers import BertConfig, BertModel

from tests.training.pretrain.run_here import tiny_config, train
from training.electra.config import ElectraConfig
from training.electra.model import Electra
from training.errors import UserError
from training.pretrain.config import PretrainConfig
from training.pretrain.warmstart import RECORD, record_of, warm_start
from training.tokenizer import load_tokenizer, save_tokenizer, train_tokenizer


@pytest.fixture
def bert(prepared: Path, tmp_path: Path) -> Path:
    tokenizer = load_tokenizer(prepared / "tokenizer")
    torch.manual_seed(5)
    config = BertConfig(
        vocab_size=tokenizer.get_vocab_size(),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=64,
    )
    BertModel(config).save_pretrained(tmp_path / "bert")
    save_tokenizer(tokenizer, tmp_path / "bert")
    return tmp_path / "bert"


def same_size(vocab_size: int) -> Electra:
    return Electra(
        ElectraConfig(
            vocab_size=vocab_size,
            embedding_size=32,
            hidden_size=32,
            num_hidden_layers=2,
            num_attention_heads=2,
            intermediate_size=64,
            generator_fraction=0.5,
            max_position_embeddings=64,
            hidden_dropout=0.0,
            attention_dropout=0.0,
        )
    ).eval()


def test_the_discriminator_becomes_the_bert(bert: Path) -> None:
    tokenizer = load_tokenizer(bert)
    model = same_size(tokenizer.get_vocab_size())
    warm_start(model, tokenizer, bert)
    ids = torch.randint(5, 500, (2, 10))
    theirs = BertModel.from_pretrained(bert).eval()(ids).last_hidden_state
    ours = model.discriminator(ids, torch.arange(10).expand(2, 10), None)
    torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=0)


def test_a_new_vocabulary_keeps_the_vectors_it_shares(bert: Path) -> None:
    old = load_tokenizer(bert)
    new = train_tokenizer(["苹果手机 hello hello world"] * 20, 8192)
    model = same_size(new.get_vocab_size())
    warm_start(model, new, bert)
    theirs = BertModel.from_pretrained(bert).embeddings.word_embeddings.weight
    ours = model.generator.embeddings.word_embeddings.weight
    for token in ("苹", "果", "[CLS]"):
        assert torch.equal(ours[new.token_to_id(token)], theirs[old.token_to_id(token)])
    assert new.token_to_id("hello") is not None
    pieces = old.encode("hello", add_special_tokens=False).ids
    torch.testing.assert_close(ours[new.token_to_id("hello")], theirs[torch.tensor(pieces)].mean(0))


@pytest.mark.parametrize("sharing", ["shared", "gdes", "none"])
def test_pretraining_goes_on_from_an_earlier_run(root: Path, sharing: str) -> None:
    def config(**changes: object) -> PretrainConfig:
        base = tiny_config(2, **changes)
        return dataclasses.replace(base, model=base.model | {"embedding_sharing": sharing})

    first = train(root, f"first-{sharing}", config=config(learning_rate=1e-2))
    second = train(
        root,
        f"second-{sharing}",
        config=config(warm_start=str(first / "pretrained"), learning_rate=1e-12),
    )
    from tests.training.pretrain.run_here import weights

    one, two = weights(first), weights(second)
    assert max((one[name] - two[name]).abs().max().item() for name in one) < 1e-6
    records = [json.loads((run / "pretrained" / RECORD).read_text()) for run in (first, second)]
    # What it took to make the weights: both runs are alike.
    assert records[1]["tokens_seen"] == 2 * records[0]["tokens_seen"] > 0
    assert records[1]["matmul_flops"] == 2 * records[0]["matmul_flops"]
    assert records[1]["hardware"] == records[0]["hardware"]


def test_another_size_is_refused(bert: Path) -> None:
    tokenizer = load_tokenizer(bert)
    model = Electra(
        ElectraConfig(vocab_size=tokenizer.get_vocab_size(), num_hidden_layers=1, generator_layers=1)
    )
    with pytest.raises(UserError, match="its layers do not fit"):
        warm_start(model, tokenizer, bert)


def test_missing_weights_are_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such directory"):
        warm_start(same_size(100), None, tmp_path / "nowhere")  # type: ignore[arg-type]
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match=r"no model\.safetensors"):
        warm_start(same_size(100), None, tmp_path / "empty")  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["model.safetensors", "pytorch_model.bin"])
@pytest.mark.parametrize("damage", [b"", b"no weights", b"\x80\x02half"])
def test_damaged_weights_are_named(name: str, damage: bytes, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(damage)
    with pytest.raises(UserError, match=rf"{name}: cannot be read \(.*\); copy the weights again"):
        warm_start(same_size(100), None, tmp_path)  # type: ignore[arg-type]


def test_what_had_gone_into_the_weights(root: Path, tmp_path: Path, bert: Path) -> None:
    pretrained = train(root, "counted", steps=2) / "pretrained"
    record = record_of(pretrained)
    assert record["tokens_seen"] == 2 * 8 * 32
    assert record_of(pretrained / "discriminator") == record
    assert record_of(bert) == {}
    (tmp_path / RECORD).write_text('{"tokens_seen": "many"}')
    assert record_of(tmp_path) == {}


def test_what_went_before_survives_a_resume(root: Path) -> None:
    first = train(root, "before", steps=2) / "pretrained"
    train(root, "resumed", config=tiny_config(2, warm_start=str(first)))
    moved = first.with_name("moved")
    first.rename(moved)
    config = tiny_config(3, warm_start=str(first))
    record = json.loads((train(root, "resumed", config=config) / "pretrained" / RECORD).read_text())
    moved.rename(first)
    assert record["tokens_seen"] == (2 + 3) * 8 * 32
