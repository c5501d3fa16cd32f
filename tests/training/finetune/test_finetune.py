"""Whole runs on a tiny model: it learns, repeats itself, resumes to the bit, learns from teachers."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file
from transformers import (
    ElectraConfig,
    ElectraForPreTraining,
    ElectraForSequenceClassification,
    ElectraForTokenClassification,
    ElectraModel,
)

from training.errors import UserError
from training.finetune import seed_run
from training.finetune.config import CorruptionConfig, FinetuneConfig
from training.finetune.data import RunData
from training.finetune.dry_run import reviews
from training.finetune.earlier import fingerprint_of
from training.finetune.finetune import finetune
from training.finetune.model import save_checkpoint
from training.finetune.trainer import ElectraTrainer
from training.ngrams.model import load_ngrams
from training.tokenizer import load_tokenizer

FAST = {
    "batch_size": 8,
    "max_tokens": 48,
    "layer_decay": 1.0,
    "learning_rate": 1e-2,
    "baselines": False,
    "threads": 1,
}


def _table(path: Path, rows: list[tuple[str, str]]) -> str:
    path.write_text("label\ttext\n" + "".join(f"{a}\t{b}\n" for a, b in rows), encoding="utf-8")
    return str(path)


def _jsonl(path: Path, rows: list[dict[str, Any]]) -> str:
    path.write_text("\n".join(json.dumps(row, ensure_ascii=False) for row in rows), encoding="utf-8")
    return str(path)


@pytest.fixture
def config(checkpoint: Path, tmp_path: Path) -> FinetuneConfig:
    train = _table(tmp_path / "train.tsv", reviews(20, seed=1))
    return FinetuneConfig(checkpoint=str(checkpoint), train=(train,), dev=(train,), epochs=16.0, **FAST)


def _weights(directory: Path) -> dict[str, np.ndarray]:
    return load_file(directory / "model.safetensors")


def test_twenty_rows_are_learned_by_heart_and_saved_in_hub_form(
    config: FinetuneConfig, tmp_path: Path
) -> None:
    report = finetune(replace(config, baselines=True), tmp_path / "out", progress=False)
    assert report["dev"]["accuracy"] == 1.0
    assert report["failed"] == 0
    assert report["baselines"]["majority"]["dev"]["accuracy"] == 0.5
    assert report["baselines"]["tfidf_logistic"]["dev"]["accuracy"] == 1.0
    assert report["data"]["train"][0]["rows"] == 20
    assert json.loads((tmp_path / "out" / "finetune.json").read_text(encoding="utf-8")) == report
    model = ElectraForSequenceClassification.from_pretrained(tmp_path / "out")
    assert model.config.id2label == {0: "negative", 1: "positive"}
    assert model.config.problem_type == "single_label_classification"
    assert load_tokenizer(tmp_path / "out").get_vocab_size() == model.config.vocab_size
    assert [path.name for path in tmp_path.glob("out*")] == ["out"]


def test_the_same_seed_gives_the_same_weights_and_another_does_not(
    config: FinetuneConfig, tmp_path: Path
) -> None:
    short = replace(config, epochs=2.0)
    for name, seed in (("a", 3), ("b", 3), ("c", 4)):
        finetune(replace(short, seeds=(seed,)), tmp_path / name, progress=False)
    one, two, three = (_weights(tmp_path / name) for name in "abc")
    assert all(np.array_equal(one[key], two[key]) for key in one)
    assert not np.array_equal(one["classifier.dense.weight"], three["classifier.dense.weight"])


@pytest.mark.parametrize("killed_at", [4, 8])
def test_a_killed_run_resumes_to_the_same_bits(
    config: FinetuneConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, killed_at: int
) -> None:
    # 8 steps an epoch; checkpoints after steps 2, 4, 6, 8 ...: in the middle of an epoch and at its end.
    short = replace(config, epochs=2.0, batch_size=3, evaluations_per_epoch=3, seeds=(0, 1))
    finetune(short, tmp_path / "whole", progress=False)
    step, steps = ElectraTrainer.training_step, 0

    def dying_step(self: ElectraTrainer, *args: Any, **kwargs: Any) -> Any:
        nonlocal steps
        steps += 1
        if steps == killed_at:
            raise KeyboardInterrupt
        return step(self, *args, **kwargs)

    monkeypatch.setattr(ElectraTrainer, "training_step", dying_step)
    with pytest.raises(KeyboardInterrupt):
        finetune(short, tmp_path / "broken", progress=False)
    assert not (tmp_path / "broken").exists()
    half_written = next(tmp_path.glob("broken.work-*")) / "seed-0" / "checkpoint-999"
    half_written.mkdir()  # as a kill in the middle of saving leaves it
    (half_written / "model.safetensors").write_bytes(b"half")
    monkeypatch.undo()
    report = finetune(short, tmp_path / "broken", progress=False)
    assert report["seeds"][0]["resumed"]
    whole, broken = _weights(tmp_path / "whole"), _weights(tmp_path / "broken")
    assert all(np.array_equal(whole[key], broken[key]) for key in whole)


def test_finished_seeds_and_finished_runs_are_not_trained_again(
    config: FinetuneConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    several = replace(config, epochs=1.0, seeds=(0, 1))
    run, calls = seed_run.ElectraTrainer.train, []

    def counted(self: Any, *args: Any, **kwargs: Any) -> Any:
        calls.append(self.args.seed)
        if calls == [0, 1]:
            raise KeyboardInterrupt
        return run(self, *args, **kwargs)

    monkeypatch.setattr(seed_run.ElectraTrainer, "train", counted)
    with pytest.raises(KeyboardInterrupt):
        finetune(several, tmp_path / "out", progress=False)
    first = finetune(several, tmp_path / "out", progress=False)
    assert calls == [0, 1, 1]
    assert finetune(replace(several, threads=2), tmp_path / "out", progress=False) == first
    assert calls == [0, 1, 1]
    finetune(several, tmp_path / "out", progress=False, restart=True)
    assert calls == [0, 1, 1, 0, 1]


def test_another_run_keeps_the_checkpoints_of_a_stopped_one_and_says_what_it_replaces(
    config: FinetuneConfig,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    long, short = replace(config, epochs=2.0, seeds=(0, 1)), replace(config, epochs=1.0)
    output = tmp_path / "out [1]"  # no pattern
    run = seed_run.ElectraTrainer.train

    def said() -> list[str]:
        return [line for line in capsys.readouterr().err.splitlines() if str(output) in line]

    def stopped(self: Any, *args: Any, **kwargs: Any) -> Any:
        if self.args.seed == 1:
            raise KeyboardInterrupt
        return run(self, *args, **kwargs)

    with monkeypatch.context() as patched:
        patched.setattr(seed_run.ElectraTrainer, "train", stopped)
        with pytest.raises(KeyboardInterrupt):
            finetune(long, output, progress=False)
    (work,) = (path for path in tmp_path.iterdir() if ".work-" in path.name)
    mine = tmp_path / "out [1].work-notes"
    mine.mkdir()
    done = (work / "seed-0" / "model" / "result.json").read_bytes()
    assert said() == []

    finetune(short, output, progress=False)
    assert (work / "seed-0" / "model" / "result.json").read_bytes() == done
    assert {path.name for path in tmp_path.glob("out*")} == {output.name, work.name, mine.name}
    kept = f"warning: {work}: keeps the checkpoints of a run of other settings; delete it if that run is over"
    assert said() == [kept]

    report = finetune(long, output, progress=False)
    assert (work.exists(), mine.exists()) == (False, True)
    told = "the model there, trained with another epochs, seeds, will be replaced; stop now to keep it"
    assert said() == [f"warning: {output}: {told}"]
    monkeypatch.setattr(seed_run.ElectraTrainer, "train", stopped)
    assert finetune(replace(long, threads=2), output, progress=False) == report
    assert said() == []
    monkeypatch.undo()

    Path(config.train[0]).write_text("label\ttext\n" + "positive\t好\nnegative\t差\n" * 10, encoding="utf-8")
    finetune(long, output, progress=False)
    told = "the model there, trained on other data or weights, will be replaced; stop now to keep it"
    assert said() == [f"warning: {output}: {told}"]


def test_the_same_run_in_another_process_is_refused_and_loses_nothing(
    config: FinetuneConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    short, refused = replace(config, epochs=1.0), []
    run = seed_run.ElectraTrainer.train

    def meanwhile(self: Any, *args: Any, **kwargs: Any) -> Any:
        for restart in (False, True):
            with pytest.raises(
                UserError, match="another process is writing there; wait for it to end"
            ) as error:
                finetune(short, tmp_path / "out", progress=False, restart=restart)
            refused.append(str(error.value))
        return run(self, *args, **kwargs)

    monkeypatch.setattr(seed_run.ElectraTrainer, "train", meanwhile)
    finetune(short, tmp_path / "out", progress=False)
    assert len(refused) == 2
    assert refused[0].startswith(f"{tmp_path / 'out'}.work-")
    assert [path.name for path in tmp_path.glob("out*")] == ["out"]


@pytest.mark.parametrize("changed", ["checkpoint", "teacher", "generator", "shapes.txt"])
def test_other_contents_of_what_is_read_make_another_run(tmp_path: Path, changed: str) -> None:
    for name in ("checkpoint", "teacher", "generator"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "model.safetensors").write_text("before", encoding="utf-8")
    (tmp_path / "shapes.txt").write_text("己已", encoding="utf-8")
    corruption = CorruptionConfig(
        ("x.txt",), generator_model=str(tmp_path / "generator"), shape_sets=str(tmp_path / "shapes.txt")
    )
    config = FinetuneConfig(
        str(tmp_path / "checkpoint"),
        task="error_detection",
        teacher=str(tmp_path / "teacher"),
        corruption=corruption,
    )
    data = RunData([], [], [], [])
    before = fingerprint_of(config, data)
    assert fingerprint_of(config, data) == before
    path = tmp_path / changed
    (path / "model.safetensors" if path.is_dir() else path).write_text("己巳", encoding="utf-8")
    assert fingerprint_of(config, data) != before


def test_seeds_have_mean_deviation_failures_and_a_vote(config: FinetuneConfig, tmp_path: Path) -> None:
    # One epoch at a rate of nothing: every run stays where it began, at the majority class.
    still = replace(config, epochs=1.0, learning_rate=1e-12, seeds=(0, 1, 2))
    report = finetune(still, tmp_path / "out", progress=False)
    values = [run["dev"]["accuracy"] for run in report["seeds"]]
    assert report["dev_mean"]["accuracy"] == pytest.approx(np.mean(values))
    assert report["dev_std"]["accuracy"] == pytest.approx(np.std(values, ddof=1))
    assert report["failed"] == sum(value <= 0.51 for value in values) >= 1
    assert 0 <= report["vote"]["dev"]["accuracy"] <= 1


def test_early_stopping_stops_and_keeps_the_best(config: FinetuneConfig, tmp_path: Path) -> None:
    report = finetune(replace(config, epochs=60.0, patience=10), tmp_path / "out", progress=False)
    (run,) = report["seeds"]
    assert run["best_step"] < run["steps"] < 60 * 3
    assert run["dev"]["accuracy"] == 1.0


def test_a_student_comes_nearer_to_its_teacher(config: FinetuneConfig, tmp_path: Path) -> None:
    finetune(config, tmp_path / "teacher", progress=False)
    wrong = [("negative" if label == "positive" else "positive", text) for label, text in reviews(20, seed=1)]
    held_out = _table(tmp_path / "held_out.tsv", reviews(20, seed=9))
    mislabelled = (_table(tmp_path / "wrong.tsv", wrong),)
    alone = replace(config, train=mislabelled, dev=mislabelled, test=(held_out,))
    taught = replace(alone, dev=config.dev, teacher=str(tmp_path / "teacher"), distill_weight=1.0)
    assert finetune(alone, tmp_path / "alone", progress=False)["test"]["accuracy"] < 0.4
    assert finetune(taught, tmp_path / "taught", progress=False)["test"]["accuracy"] > 0.8


def test_a_linear_teacher_labels_text_too(config: FinetuneConfig, tmp_path: Path) -> None:
    more = tmp_path / "more.txt"
    more.write_text("\n".join(text for _, text in reviews(16, seed=5)), encoding="utf-8")
    taught = replace(config, teacher="tfidf", unlabelled=(str(more),), distill_weight=1.0)
    report = finetune(taught, tmp_path / "out", progress=False)
    assert report["dev"]["accuracy"] >= 0.8
    assert report["seeds"][0]["steps"] == 16 * 5  # 36 rows


def test_an_output_that_holds_something_else_is_left_alone(
    config: FinetuneConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    notes = tmp_path / "mine" / "notes.txt"
    notes.parent.mkdir()
    notes.write_text("precious", encoding="utf-8")
    monkeypatch.chdir(notes.parent)
    for output in (notes.parent, Path(".")):
        with pytest.raises(UserError, match="mine: exists and holds no fine-tuned model; name another"):
            finetune(config, output, progress=False)
    with pytest.raises(UserError, match=r"notes\.txt: is a file"):
        finetune(config, notes, progress=False)
    assert notes.read_text(encoding="utf-8") == "precious"


def test_ngrams_vote_beside_the_network(config: FinetuneConfig, tmp_path: Path) -> None:
    test = _table(tmp_path / "test.tsv", reviews(40, seed=5))
    told = replace(config, test=(test,), ngrams=2, epochs=1.0, learning_rate=1e-5)
    report = finetune(told, tmp_path / "out", progress=False)
    of = report["ngrams"]
    assert of["test"]["ngrams"]["accuracy"] > of["test"]["network"]["accuracy"]
    assert report["test"] == of["test"]["together"]
    assert report["dev"] == of["dev"]["together"]
    assert report["seeds"][0]["test"] == pytest.approx(of["test"]["network"])
    assert of["shares"]["ngrams"] > 0
    ngrams = load_ngrams(tmp_path / "out", 2)
    assert ngrams is not None
    assert ngrams.terms == of["terms"]
    assert ngrams.shares.tolist() == pytest.approx([of["shares"]["network"], of["shares"]["ngrams"]])
    # Without `ngrams` there is no such file, and a student hears both.
    alone = finetune(replace(told, ngrams=0), tmp_path / "alone", progress=False)
    assert "ngrams" not in alone
    assert load_ngrams(tmp_path / "alone", 2) is None
    taught = replace(
        told, ngrams=0, teacher=str(tmp_path / "out"), distill_weight=1.0, epochs=24.0, learning_rate=1e-2
    )
    student = finetune(taught, tmp_path / "student", progress=False)
    assert student["dev"]["accuracy"] > alone["dev"]["accuracy"]


def test_class_weights_reach_the_ngrams(config: FinetuneConfig, tmp_path: Path) -> None:
    told = replace(config, ngrams=1, epochs=0.4, learning_rate=1e-5)
    lean = {}
    for heavy in ("negative", "positive"):
        finetune(replace(told, class_weights={heavy: 50.0}), tmp_path / heavy, progress=False)
        ngrams = load_ngrams(tmp_path / heavy, 2)
        assert ngrams is not None
        lean[heavy] = float(ngrams.bias[1] - ngrams.bias[0])
    assert lean["positive"] > 1 > -1 > lean["negative"]


def test_train_without_any_ngram_is_named(config: FinetuneConfig, tmp_path: Path) -> None:
    # 120 rows of one token each, no token twice: none stands in two rows.
    tokens = [token for token in load_tokenizer(Path(config.checkpoint)).get_vocab() if len(token) == 1]
    rows = [(("positive", "negative")[at % 2], token) for at, token in enumerate(sorted(tokens)[:120])]
    train = _table(tmp_path / "odd.tsv", rows)
    told = replace(config, train=(train,), dev=(train,), epochs=0.1, ngrams=1)
    assert len(rows) >= 100
    with pytest.raises(UserError, match="ngrams: none can be fitted on train"):
        finetune(told, tmp_path / "out", progress=False)
    assert not (tmp_path / "out").exists()


def test_ngrams_of_several_labels(config: FinetuneConfig, tmp_path: Path) -> None:
    rows = [
        {"text": text, "labels": [label] + (["price"] if "价格" in text or "price" in text else [])}
        for label, text in reviews(40, seed=3)
    ]
    train = _jsonl(tmp_path / "train.jsonl", rows)
    told = replace(config, train=(train,), dev=(train,), task="multi_label", epochs=2.0, ngrams=2)
    report = finetune(told, tmp_path / "out", progress=False)
    figures = report["ngrams"]["dev"]
    assert figures["together"][report["metric"]] >= figures["network"][report["metric"]]


def test_seeds_and_unlabelled_text_become_one_model(config: FinetuneConfig, tmp_path: Path) -> None:
    more = tmp_path / "more.txt"
    more.write_text("\n".join(text for _, text in reviews(16, seed=5)), encoding="utf-8")
    both = replace(config, seeds=(0, 1), distill_seeds=True, unlabelled=(str(more),))
    report = finetune(both, tmp_path / "out", progress=False)
    assert report["chosen"] == "distilled"
    assert report["distilled"]["dev"]["accuracy"] == 1.0
    assert report["distilled"]["steps"] == 16 * 5  # 36 rows
    assert report["data"]["unlabelled"][0]["rows"] == 16


def test_several_labels(config: FinetuneConfig, tmp_path: Path) -> None:
    rows = [
        {"text": f"味道很好{at}" if at % 2 else f"服务冷淡{at}", "labels": ["taste" if at % 2 else "service"]}
        for at in range(20)
    ]
    path = _jsonl(tmp_path / "several.jsonl", rows)
    several = replace(config, task="multi_label", train=(path,), dev=(path,), baselines=False)
    report = finetune(several, tmp_path / "out", progress=False)
    assert report["dev"]["micro_f1"] == 1.0
    model = ElectraForSequenceClassification.from_pretrained(tmp_path / "out")
    assert model.config.problem_type == "multi_label_classification"


def test_token_labels(config: FinetuneConfig, tmp_path: Path) -> None:
    rows = [
        {"tokens": list("我觉得价格" + word), "labels": ["O"] * 3 + ["B-X", "I-X"] + ["O"] * len(word)}
        for word in ("公道", "太贵", "nice", "好") * 4
    ]
    path = _jsonl(tmp_path / "tokens.jsonl", rows)
    report = finetune(
        replace(config, task="token_labels", train=(path,), dev=(path,)), tmp_path / "out", progress=False
    )
    assert report["metric"] == "entity_f1"
    assert report["dev"]["entity_f1"] == 1.0
    model = ElectraForTokenClassification.from_pretrained(tmp_path / "out")
    assert sorted(model.config.label2id) == ["B-X", "I-X", "O"]


def test_error_detection_starts_from_the_replaced_token_head(config: FinetuneConfig, tmp_path: Path) -> None:
    rows = [{"text": f"我觉得味道很好{at}", "errors": []} for at in range(8)]
    rows += [{"text": f"我觉得味到很好{at}".replace("到", "道道"), "errors": [5]} for at in range(8)]
    path = _jsonl(tmp_path / "errors.jsonl", rows)
    still = replace(
        config, task="error_detection", train=(path,), dev=(path,), learning_rate=1e-12, epochs=1.0
    )
    finetune(still, tmp_path / "still", progress=False)
    before, after = _weights(Path(config.checkpoint)), _weights(tmp_path / "still")
    head = "discriminator_predictions.dense_prediction.weight"
    np.testing.assert_allclose(after[head], before[head], atol=1e-7)
    report = finetune(replace(still, learning_rate=1e-2, epochs=20.0), tmp_path / "out", progress=False)
    assert report["dev"]["average_precision"] > 0.95
    assert isinstance(ElectraForPreTraining.from_pretrained(tmp_path / "out"), ElectraForPreTraining)


def test_pairs_and_a_bare_encoder(config: FinetuneConfig, tmp_path: Path) -> None:
    encoder = ElectraModel.from_pretrained(config.checkpoint)
    save_checkpoint(encoder, load_tokenizer(Path(config.checkpoint)), tmp_path / "bare")
    # The second text alone decides.
    words = ["味道", "价格", "服务", "朋友"]
    rows = [{"text_a": a, "text_b": b, "label": str(b in words[:2])} for a in words for b in words]
    path = _jsonl(tmp_path / "pairs.jsonl", rows)
    pairs = replace(config, checkpoint=str(tmp_path / "bare"), train=(path,), dev=(path,), head="plain")
    report = finetune(pairs, tmp_path / "out", progress=False)
    assert set(report["labels"]) == {"True", "False"}
    assert report["dev"]["accuracy"] == 1.0


def test_a_fine_tuned_model_can_be_tuned_on_for_other_labels(config: FinetuneConfig, tmp_path: Path) -> None:
    finetune(replace(config, epochs=1.0), tmp_path / "first", progress=False)
    rows = [(label if at % 3 else "neutral", text) for at, (label, text) in enumerate(reviews(20, seed=1))]
    path = _table(tmp_path / "three.tsv", rows)
    report = finetune(
        replace(config, checkpoint=str(tmp_path / "first"), train=(path,), dev=(path,), epochs=1.0),
        tmp_path / "second",
        progress=False,
    )
    assert report["labels"] == ["negative", "neutral", "positive"]


def test_what_does_not_fit_is_refused_before_any_training(config: FinetuneConfig, tmp_path: Path) -> None:
    def refused(match: str, **changes: Any) -> None:
        with pytest.raises(UserError, match=match):
            finetune(replace(config, **changes), tmp_path / "out", progress=False)
        assert not list(tmp_path.glob("out*"))

    refused(r"max_tokens 65 is more than the checkpoint's 64 positions", max_tokens=65)
    refused(r"metric: no 'auroc' for task single_label; one of accuracy, macro_f1", metric="auroc")
    refused("nowhere: no such checkpoint directory", checkpoint=str(tmp_path / "nowhere"))
    foreign = _table(tmp_path / "foreign.tsv", [("a", "龘龘龘龘"), ("b", "靐靐靐靐")])
    refused("100% of the tokens of train are unknown", train=(foreign,), dev=(foreign,))
    bert = tmp_path / "bert"
    bert.mkdir()
    (bert / "config.json").write_text('{"model_type": "bert"}', encoding="utf-8")
    refused("model_type is 'bert', not electra", checkpoint=str(bert))
    (bert / "config.json").write_text("{", encoding="utf-8")
    refused(r"config\.json: cannot be read", checkpoint=str(bert))
    small = ElectraConfig(
        vocab_size=9,
        embedding_size=8,
        hidden_size=8,
        num_hidden_layers=1,
        num_attention_heads=1,
        intermediate_size=8,
        max_position_embeddings=64,
    )
    save_checkpoint(ElectraForPreTraining(small), load_tokenizer(Path(config.checkpoint)), tmp_path / "small")
    refused("the tokenizer has ids up to .* the model only 9 embeddings", checkpoint=str(tmp_path / "small"))
    other = _table(tmp_path / "other.tsv", [("x", "味道很好"), ("y", "味道很差")] * 6)
    finetune(replace(config, train=(other,), dev=(other,), epochs=1.0), tmp_path / "xy", progress=False)
    refused("the teacher's labels are x, y, those of train negative, positive", teacher=str(tmp_path / "xy"))
