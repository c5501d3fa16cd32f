"""A whole short run: it learns, it logs, it leaves what it promises."""

import dataclasses
import json
from pathlib import Path

import pytest
import torch
from transformers import AutoTokenizer, ElectraForMaskedLM, ElectraForPreTraining

from tests.training.pretrain.run_here import tiny_config, train
from training.corpus import CorpusConfig, SourceConfig, build
from training.errors import UserError
from training.files import only_one
from training.hardware import hardware_name
from training.pretrain import loop
from training.pretrain.config import PhaseConfig
from training.pretrain.log import read_log
from training.pretrain.loop import pretrain
from training.pretrain.place import Place, join
from training.pretrain.setup import set_up, warn_of_little_text
from training.synthetic import synthetic_documents
from training.tokenizer import load_tokenizer


def test_a_short_run_learns_and_leaves_what_it_promises(root: Path) -> None:
    config = dataclasses.replace(
        tiny_config(60),
        learning_rate=5e-3,
        warmup_steps=5,
        log_every=5,
        evaluate_every=20,
        checkpoint_every=50,
        phases=(
            PhaseConfig(steps=50, length=32, rows=16),
            PhaseConfig(steps=10, length=64, rows=8, mask_rate=0.25),
        ),
    )
    run = train(root, config=config)
    records = read_log(run / "log.jsonl")
    losses = [record["generator_loss"] for record in records if "generator_loss" in record]
    assert losses[-1] < losses[0] - 2  # from ln(vocabulary) to the few words there are
    held = [record for record in records if "heldout/auroc" in record]
    assert {"heldout/generator_accuracy", "heldout/average_precision", "heldout/balanced_accuracy"} <= held[
        -1
    ].keys()
    assert (run / "curves.png").read_bytes()[:4] == b"\x89PNG"
    assert list((run / "tensorboard").glob("events*"))
    discriminator = ElectraForPreTraining.from_pretrained(run / "pretrained" / "discriminator")
    generator = ElectraForMaskedLM.from_pretrained(run / "pretrained" / "generator")
    tokenizer = load_tokenizer(run / "pretrained" / "discriminator")
    assert discriminator.config.vocab_size == generator.config.vocab_size == tokenizer.get_vocab_size()
    text = "今天天气很好，the cat"
    theirs = AutoTokenizer.from_pretrained(run / "pretrained" / "discriminator")
    assert theirs(text)["input_ids"] == tokenizer.encode(text).ids
    record = json.loads((run / "pretrained" / "pretrain.json").read_text())
    assert record["tokens_seen"] == 50 * 32 * 16 + 10 * 64 * 8
    assert record["hardware"] == hardware_name()


def test_a_finished_run_is_not_trained_again(root: Path) -> None:
    run = train(root, steps=2)
    before = (run / "log.jsonl").read_text()
    train(root, steps=2)
    assert (run / "log.jsonl").read_text() == before


def test_a_second_run_into_the_same_output_is_refused(root: Path) -> None:
    with only_one(root / "run"):
        with pytest.raises(UserError, match="run: another process is writing there; wait for it to end, or"):
            train(root, steps=2)
        assert [path.name for path in (root / "run").iterdir()] == [".lock"]
    train(root, steps=2)


def test_the_first_process_locks_the_output_for_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    refused = 0
    monkeypatch.setattr(loop, "largest", lambda place, value: [max(value, refused)])
    first, second = (Place(rank, 2, torch.device("cpu")) for rank in range(2))
    with loop._alone(tmp_path, first), loop._alone(tmp_path, second):
        with pytest.raises(UserError, match="another process is writing there"), loop._alone(tmp_path, first):
            pass
        refused = 1  # as the first process of the second group says
        with (
            pytest.raises(UserError, match="the first process found another run writing there"),
            loop._alone(tmp_path, second),
        ):
            pass


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"learning_rate": 1e-4}, "is finished and was trained with another learning_rate; choose another"),
        ({"whole_word_masking": True, "noise_share": 0.0}, "trained with another whole_word_masking"),
        ({"word_initialization": "cooccurrence"}, "started with word_initialization 'normal', not 'cooc"),
        ({"warm_start": "elsewhere"}, "started with warm_start None, not 'elsewhere'"),
        ({"phases": (PhaseConfig(steps=2, length=32, rows=4),)}, "has made 2 steps of other phases"),
        (
            {"phases": (PhaseConfig(steps=1, length=32, rows=8),), "warmup_steps": 1},
            "has made 2 steps of other phases",
        ),
    ],
)
def test_a_finished_run_does_not_take_on_other_settings(root: Path, changes: dict, message: str) -> None:
    run = train(root, steps=2)
    record = (run / "pretrained" / "pretrain.json").read_bytes()
    with pytest.raises(UserError, match=message):
        train(root, config=dataclasses.replace(tiny_config(2), **changes))
    assert (run / "pretrained" / "pretrain.json").read_bytes() == record


def test_a_longer_run_may_go_on_otherwise_and_says_so(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    train(root, steps=2)
    phases = (PhaseConfig(steps=2, length=32, rows=8), PhaseConfig(steps=1, length=16, rows=4))
    config = tiny_config(2, learning_rate=1e-4, keep_last=1, temperature=0.9)
    config = dataclasses.replace(config, phases=phases)
    pretrain(config, root / "shards", root / "tokenizer", root / "run", progress=True)
    assert "going on from step 2 with another learning_rate, temperature" in capsys.readouterr().out


def test_text_without_held_out_documents_is_refused_before_the_first_step(root: Path) -> None:
    (root / "text.txt").write_text("\n\n".join(synthetic_documents(60)), encoding="utf-8")
    corpus = CorpusConfig(sources=(SourceConfig(path=str(root / "text.txt")),), held_out=0.0, workers=1)
    build(corpus, root / "tokenizer" / "tokenizer.json", root / "no-held-out", progress=False)
    with pytest.raises(UserError, match="no heldout documents; use more text, or a larger corpus"):
        pretrain(tiny_config(2), root / "no-held-out", root / "tokenizer", root / "other-run", progress=False)
    assert not (root / "other-run").exists()


def test_whole_word_masking_and_gdes_run(root: Path) -> None:
    config = tiny_config(2, whole_word_masking=True)
    config = dataclasses.replace(config, model=config.model | {"embedding_sharing": "gdes"})
    assert (train(root, config=config) / "pretrained" / "generator" / "model.safetensors").is_file()


def test_accumulation_gives_the_same_run(root: Path) -> None:
    config = tiny_config(3)
    still = config.model | {"hidden_dropout": 0.0, "attention_dropout": 0.0}
    results = []
    for name, rows in (("whole", 0), ("pieces", 2)):
        settings = dataclasses.replace(config, model=still, micro_rows=rows, log_every=1, numbers="float32")
        run = train(root, name, config=settings)
        results.append([r["loss"] for r in read_log(run / "log.jsonl") if "loss" in r])
    assert results[0] == pytest.approx(results[1], rel=1e-5)


def test_wrong_settings_are_refused() -> None:
    with pytest.raises(ValueError, match="warmup_steps 10 is longer than"):
        tiny_config(3, warmup_steps=10)
    with pytest.raises(ValueError, match="unknown key 'hiden_size'"):
        dataclasses.replace(tiny_config(3), model={"hiden_size": 3})
    with pytest.raises(
        ValueError, match=r"model\.embedding_sharing: 'gds' is not allowed; did you mean 'gdes'"
    ):
        dataclasses.replace(tiny_config(3), model={"embedding_sharing": "gds"})
    with pytest.raises(ValueError, match=r"model\.num_hidden_layers: expected int, found '6'"):
        dataclasses.replace(tiny_config(3), model={"num_hidden_layers": "6"})
    with pytest.raises(ValueError, match="vocab_size is the tokenizer's"):
        dataclasses.replace(tiny_config(3), model={"vocab_size": 6})
    written = dataclasses.replace(tiny_config(3), model={"initializer_range": "2e-2"})  # as YAML reads it
    assert written.electra_config(100).initializer_range == 0.02
    with pytest.raises(ValueError, match="rows of 256 tokens"):
        dataclasses.replace(tiny_config(3), phases=(PhaseConfig(steps=10, length=256),))


@pytest.mark.parametrize(("passes", "warned"), [(39, False), (41, True)])
def test_text_far_too_small_for_the_steps_gets_a_warning(
    passes: int, warned: bool, root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config, place = tiny_config(), join()
    run = set_up(config, root / "shards", root / "tokenizer", root / "run", place)
    tokens = run.shards.tokens("train")
    steps = passes * tokens // (32 * 8)
    run.config = dataclasses.replace(config, phases=(PhaseConfig(steps=steps, length=32, rows=8),))
    warn_of_little_text(run)
    shown = capsys.readouterr().out
    assert (f"warning: about 41 passes over {tokens:,} tokens" in shown) is warned
    assert ("`warm_start`" in shown) is warned
