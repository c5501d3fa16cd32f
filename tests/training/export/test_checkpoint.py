"""Checkpoints that can be exported, and those that cannot, with the reason."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import ElectraConfig, ElectraForTokenClassification

from training.errors import UserError
from training.export.checkpoint import load_checkpoint, load_matching_tokenizer, require_same_vocabulary
from training.tokenizer import SPECIAL_TOKENS, save_tokenizer, untrained


@pytest.fixture
def copy(material: Path, tmp_path: Path) -> Path:
    shutil.copytree(material / "classifier", tmp_path / "copy")
    return tmp_path / "copy"


def change_config(directory: Path, **changes: object) -> None:
    file = directory / "config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))


def change_weights(directory: Path, change: object) -> None:
    file = directory / "model.safetensors"
    weights = load_file(file)
    change(weights)  # type: ignore[operator]
    save_file(weights, file, metadata={"format": "pt"})


@pytest.mark.parametrize("name", ["classifier", "discriminator", "generator"])
def test_kinds_follow_from_the_architecture(name: str, material: Path) -> None:
    checkpoint = load_checkpoint(material / name)
    assert checkpoint.kind == name
    assert not checkpoint.model.training
    assert checkpoint.max_tokens == 64


def test_a_pickle_is_never_opened(copy: Path) -> None:
    (copy / "model.safetensors").unlink()
    (copy / "pytorch_model.bin").write_bytes(b"cos\nsystem\n(S'touch /tmp/opened'\ntR.")
    with pytest.raises(UserError, match=r"only pytorch_model\.bin, a pickle"):
        load_checkpoint(copy)


def test_a_missing_head_is_not_filled_with_random_numbers(copy: Path) -> None:
    change_weights(copy, lambda weights: weights.pop("classifier.out_proj.weight"))
    with pytest.raises(UserError, match=r"not in the file, first classifier\.out_proj\.weight"):
        load_checkpoint(copy)


def test_weights_that_are_not_numbers_are_refused(copy: Path) -> None:
    change_weights(copy, lambda weights: weights["classifier.dense.bias"].fill_(float("nan")))
    with pytest.raises(UserError, match=r"classifier\.dense\.bias is not finite"):
        load_checkpoint(copy)


def test_weights_of_another_shape_are_refused(copy: Path) -> None:
    change_config(copy, intermediate_size=32)
    with pytest.raises(UserError, match=r"do not fit config\.json"):
        load_checkpoint(copy)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model_type": "bert"}, "model_type is 'bert'"),
        ({"architectures": ["ElectraForQuestionAnswering"]}, "names ElectraForQuestionAnswering"),
        ({"id2label": {"0": "same", "1": "same"}}, "label 'same' stands twice"),
    ],
)
def test_configurations_that_cannot_be_served(changes: dict, message: str, copy: Path) -> None:
    change_config(copy, **changes)
    with pytest.raises(UserError, match=message):
        load_checkpoint(copy)


def test_files_that_are_missing_or_broken(copy: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="nowhere: no such checkpoint directory"):
        load_checkpoint(tmp_path / "nowhere")
    (copy / "model.safetensors").write_bytes(b"no weights")
    with pytest.raises(UserError, match="the weights are damaged or do not fit"):
        load_checkpoint(copy)
    (copy / "config.json").write_text("{")
    with pytest.raises(UserError, match=r"config\.json: cannot be read"):
        load_checkpoint(copy)
    (copy / "config.json").unlink()
    with pytest.raises(UserError, match=r"has no config\.json"):
        load_checkpoint(copy)


def test_a_tokenizer_of_five_tokens_is_refused(copy: Path) -> None:
    tokenizer = untrained(
        {token: i for i, token in enumerate(SPECIAL_TOKENS)}, lowercase=True, strip_accents=True
    )
    save_tokenizer(tokenizer, copy)
    with pytest.raises(UserError, match=r"the tokenizer has 5 tokens, config\.json says"):
        load_matching_tokenizer(load_checkpoint(copy))


def test_a_generator_with_another_vocabulary_is_refused(material: Path, tmp_path: Path) -> None:
    shutil.copytree(material / "generator", tmp_path / "generator")
    discriminator = load_checkpoint(material / "discriminator")
    tokenizer = load_matching_tokenizer(discriminator)
    require_same_vocabulary(discriminator, load_checkpoint(tmp_path / "generator"), tokenizer)
    vocabulary = tokenizer.get_vocab()
    vocabulary["我"], vocabulary["你"] = vocabulary["你"], vocabulary["我"]
    save_tokenizer(untrained(vocabulary, lowercase=True, strip_accents=True), tmp_path / "generator")
    with pytest.raises(UserError, match="another vocabulary"):
        require_same_vocabulary(discriminator, load_checkpoint(tmp_path / "generator"), tokenizer)


@pytest.mark.parametrize(("labels", "accepted"), [(2, True), (5, False)])
def test_a_token_classifier_is_an_error_detector_with_two_labels_only(
    labels: int, accepted: bool, tmp_path: Path
) -> None:
    tiny_token_classifier(tuple(f"LABEL_{at}" for at in range(labels))).save_pretrained(tmp_path)
    if accepted:
        assert load_checkpoint(tmp_path).kind == "discriminator"
    else:
        with pytest.raises(UserError, match="with 5 labels is no error detector"):
            load_checkpoint(tmp_path)


@pytest.mark.parametrize(
    ("names", "sign"),
    [(("O", "ERR"), 1), (("ERR", "O"), -1), (("c", "i"), 1), (("Replaced", "Original"), -1)],
)
def test_the_labels_of_an_error_detector_are_told_by_name(
    names: tuple[str, str], sign: int, tmp_path: Path
) -> None:
    model = tiny_token_classifier(names)
    model.save_pretrained(tmp_path)
    loaded = load_checkpoint(tmp_path)
    ids = torch.tensor([[2, 7, 9, 3]])
    with torch.no_grad():
        theirs, ours = model(ids).logits, loaded.model(ids).logits
    expected = sign * (theirs[..., 1] - theirs[..., 0])
    torch.testing.assert_close(ours[..., 1] - ours[..., 0], expected)
    assert loaded.labels == list(names[::sign])


def test_labels_that_do_not_say_which_means_replaced_are_refused(tmp_path: Path) -> None:
    tiny_token_classifier(("PER", "LOC")).save_pretrained(tmp_path)
    with pytest.raises(UserError, match="labels PER and LOC do not say which means replaced; rename them"):
        load_checkpoint(tmp_path)


def tiny_token_classifier(labels: tuple[str, ...]) -> ElectraForTokenClassification:
    torch.manual_seed(0)
    config = ElectraConfig(
        vocab_size=50,
        embedding_size=8,
        hidden_size=8,
        num_hidden_layers=1,
        num_attention_heads=1,
        intermediate_size=8,
        id2label=dict(enumerate(labels)),
        label2id={label: at for at, label in enumerate(labels)},
    )
    return ElectraForTokenClassification(config).eval()
