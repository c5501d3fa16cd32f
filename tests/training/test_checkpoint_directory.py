"""A wrong checkpoint is told with the cure that works."""

from __future__ import annotations

from pathlib import Path

import pytest

from training.checkpoint_directory import newest_bundle, read_checkpoint_values, start_kind
from training.errors import UserError


def test_what_is_no_checkpoint_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for path in (
        "bundle/bundle.json",
        "versions/9/bundle.json",
        "versions/10/bundle.json",
        "pretrained/discriminator/config.json",
    ):
        (tmp_path / path).parent.mkdir(parents=True)
        (tmp_path / path).write_text('{"model_type": "electra"}', encoding="utf-8")
    (tmp_path / "empty").mkdir()
    (tmp_path / "list").mkdir()
    (tmp_path / "list" / "config.json").write_text("[]", encoding="utf-8")
    for path, message in {
        "bundle": r"run `electra-train restore bundle --output DIR` and give DIR/discriminator",
        "versions": r"run `electra-train restore versions/10 --output DIR`",
        "pretrained": "pretrained: has no config.json; give pretrained/discriminator",
        "empty": "empty: has no config.json; give a checkpoint in Hugging Face form",
        "list": "is not a JSON object",
        "nowhere": "nowhere: no such checkpoint directory; check the path .it is looked for in ",
        "hfl/chinese-electra": "not downloaded: run `hf download hfl/chinese-electra --local-dir",
    }.items():
        with pytest.raises(UserError, match=message):
            read_checkpoint_values(Path(path))
    assert read_checkpoint_values(Path("pretrained/discriminator")) == {"model_type": "electra"}
    assert newest_bundle(Path("versions")) == Path("versions/10")
    assert newest_bundle(Path("versions/9")) == Path("versions/9")
    assert newest_bundle(Path("pretrained")) is None
    for path in ("bundle", "versions"):
        assert start_kind(Path(path)) == "bundle"
    with pytest.raises(UserError, match="pretrained/discriminator: has no weights"):
        start_kind(Path("pretrained"))
    (tmp_path / "pretrained/discriminator/model.safetensors").touch()
    with pytest.raises(UserError, match="pretrained/discriminator: has no tokenizer"):
        start_kind(Path("pretrained"))
    (tmp_path / "pretrained/discriminator/vocab.txt").touch()
    kinds = {path: start_kind(Path(path)) for path in ("bundle", "versions", "pretrained")}
    assert kinds == {"bundle": "bundle", "versions": "bundle", "pretrained": "pretraining"}
    assert start_kind(Path("pretrained/discriminator")) == "checkpoint"
    (tmp_path / "pretrained/discriminator/config.json").write_text(
        '{"model_type": "electra", "architectures": ["ElectraForMaskedLM"]}'
    )
    with pytest.raises(UserError, match="is a generator; give the discriminator"):
        start_kind(Path("pretrained"))
    with pytest.raises(UserError, match=r"empty: has no config.json"):
        start_kind(Path("empty"))
