"""The sentence scorer from oracle labels to the bundle."""

from __future__ import annotations

import argparse
import asyncio
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from app.bundle_files import read_bundle
from app.scheduler.engine import RequestContext
from app.tasks.local import local_model
from app.tasks.summarize import SentenceScorer, SummarizeOptions, feature_size, summarize
from tests.toy import HIDDEN, toy_bundle
from training.errors import UserError
from training.finetune import scorer_command
from training.finetune.scorer import install_scorer, oracle_labels, train_scorer
from training.finetune.scorer_config import ScorerConfig
from training.finetune.scorer_fit import DocumentExample, fit_scorer

OPENINGS = [
    "今天天气很好不坏",
    "他说的是新闻体育",
    "我们去公园了吧",
    "中国经济很大很好",
    "一二三四五六七",
    "他们喜欢新闻",
]
CONFIG = ScorerConfig(bundle="unused", train=["unused"], dev=["unused"], hidden=8, epochs=30)


def write_sets(directory: Path, documents: int = 60) -> ScorerConfig:
    """Documents whose summary is the one sentence about apples, wherever it stands."""
    random = np.random.default_rng(0)
    for split, count in (("train", documents), ("dev", 20)):
        lines = []
        for _ in range(count):
            sentences = [OPENINGS[index] + "。" for index in random.permutation(len(OPENINGS))[:5]]
            apple = f"{random.choice(['我', '你', '他', '大', '小'])}吃苹果苹果苹果。"
            sentences.insert(int(random.integers(1, 5)), apple)
            lines.append(json.dumps({"document": "".join(sentences), "summary": apple}, ensure_ascii=False))
        (directory / f"{split}.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return ScorerConfig(
        bundle=str(toy_bundle(directory / "models", "toy")),
        train=[str(directory / "train.jsonl")],
        dev=[str(directory / "dev.jsonl")],
        epochs=30,
        hidden=8,
    )


def test_oracle_counts_chinese_by_character_and_english_by_word() -> None:
    assert oracle_labels(["今天下雨。", "苹果发布新手机。"], "苹果新手机", 2).tolist() == [False, True]
    assert oracle_labels(["It rains.", "Apple sells phones."], "apple phones", 2).tolist() == [False, True]
    assert oracle_labels(["今天下雨。", "我走了。"], "苹果", 2).tolist() == [False, False]
    both = oracle_labels(["苹果发布新手机。", "今天下雨。", "价格很高。"], "苹果新手机价格高", 3)
    assert both.tolist() == [True, False, True]
    assert oracle_labels(["苹果发布新手机。", "今天下雨。", "价格很高。"], "苹果新手机价格高", 1).sum() == 1


def made_up(count: int, features: int = 6, seed: int = 0) -> list[DocumentExample]:
    """The best sentence has the greatest product of the first two features; all are far from the origin."""
    random = np.random.default_rng(seed)
    examples = []
    for _ in range(count):
        rows = random.normal(size=(int(random.integers(3, 9)), features))
        labels = np.zeros(len(rows), bool)
        labels[np.argmax(rows[:, 0] * rows[:, 1])] = True
        examples.append(DocumentExample((rows * 3 + 50).astype(np.float32), labels))
    return examples


def accuracy(scorer: SentenceScorer, examples: list[DocumentExample]) -> float:
    return float(np.mean([e.labels[int(scorer.score(e.features).argmax())] for e in examples]))


def test_a_hidden_layer_learns_what_a_line_cannot() -> None:
    train, dev, test = made_up(400), made_up(80, seed=1), made_up(200, seed=2)
    config = ScorerConfig(
        bundle="b", train=["t"], dev=["d"], hidden=32, dropout=0.0, epochs=40, learning_rate=1e-2, patience=8
    )
    deep = fit_scorer(train, dev, config, progress=False)
    flat = fit_scorer(train, dev, ScorerConfig(bundle="b", train=["t"], dev=["d"], hidden=0), progress=False)
    assert len(flat.layers) == 1
    assert accuracy(deep, test) > 0.8 > accuracy(flat, test) + 0.2


def test_scores_are_probabilities_on_average() -> None:
    dev = made_up(100, seed=1)
    scorer = fit_scorer(made_up(200), dev, CONFIG, progress=False)
    scores = np.concatenate([scorer.score(example.features) for example in dev])
    assert scores.mean() == pytest.approx(np.concatenate([e.labels for e in dev]).mean(), abs=1e-3)


def test_what_had_the_least_loss_on_dev_is_kept() -> None:
    def told_by(sign: int, examples: list[DocumentExample]) -> list[DocumentExample]:
        first = [sign * example.features[:, 0] for example in examples]
        return [
            DocumentExample(example.features, values == values.max())
            for example, values in zip(examples, first, strict=True)
        ]

    # What train teaches is wrong on dev: the first epoch is the best, or the least bad.
    train, dev = told_by(1, made_up(60)), told_by(-1, made_up(30, seed=1))
    first, later = (
        fit_scorer(train, dev, replace(CONFIG, hidden=0, epochs=epochs, patience=9), progress=False)
        for epochs in (1, 4)
    )
    assert np.array_equal(first.score(dev[0].features), later.score(dev[0].features))


def test_equal_seeds_give_equal_scorers() -> None:
    first, second = (fit_scorer(made_up(50), made_up(20, seed=1), CONFIG, progress=False) for _ in range(2))
    rows = made_up(5, seed=3)[0].features
    assert np.array_equal(first.score(rows), second.score(rows))


def test_a_feature_that_never_varies_does_no_harm() -> None:
    def constant(examples: list[DocumentExample]) -> list[DocumentExample]:
        return [
            DocumentExample(np.c_[e.features, np.full(len(e.features), 7)].astype(np.float32), e.labels)
            for e in examples
        ]

    scorer = fit_scorer(constant(made_up(50)), constant(made_up(20, seed=1)), CONFIG, progress=False)
    assert np.isfinite(scorer.score(constant(made_up(3, seed=2))[0].features)).all()


def test_nothing_to_learn_from() -> None:
    same = [DocumentExample(np.zeros((2, 3), np.float32), np.array([True, True]))]
    with pytest.raises(UserError, match="train: in none of 1 documents"):
        fit_scorer(same, made_up(3), CONFIG, progress=False)


def test_training_beats_lead_and_the_bundle_serves_it(tmp_path: Path) -> None:
    config = write_sets(tmp_path)
    (figure,) = train_scorer(config, progress=False)
    assert figure.documents == 20
    assert figure.sentences == 1
    assert figure.scorer[0] > 0.9 > 0.5 > figure.lead[0]
    bundle = read_bundle(Path(config.bundle))  # checksums hold
    metric = next(metric for metric in bundle.manifest.metrics if metric.metric == "rouge1 (scorer)")
    assert (metric.value, metric.baseline_value) == (figure.scorer[0], figure.lead[0])
    text = "今天天气很好。我们去公园吧。我喜欢吃苹果苹果。新闻说的是体育。"
    model = local_model(Path(config.bundle))
    options = SummarizeOptions(method="scorer", num_sentences=1)
    (answer,) = asyncio.run(summarize(model, [text], options, RequestContext()))
    assert answer.summary_text == "我喜欢吃苹果苹果。"


def test_installing_again_replaces_and_keeps_the_statistics(tmp_path: Path) -> None:
    root = toy_bundle(tmp_path, "toy")
    weight = np.zeros((feature_size(HIDDEN), 1), np.float32)
    install_scorer(root, SentenceScorer(((weight, np.zeros(1, np.float32)),)))
    first = read_bundle(root).manifest.pooling
    assert first is not None
    assert first.method == "kmeans"
    install_scorer(root, SentenceScorer(((weight + 1, np.zeros(1, np.float32)),)), make_default=True)
    second = read_bundle(root).manifest.pooling
    assert second is not None
    assert second.method == "scorer"
    assert [path.name for path in root.glob("pooling-*.npz")] == [second.statistics.path]  # type: ignore[union-attr]
    statistics = local_model(root).statistics
    assert statistics is not None
    assert statistics.scorer is not None
    assert statistics.scorer.layers[0][0].max() == 1
    assert np.array_equal(statistics.whitening, np.eye(HIDDEN))


def test_a_saved_data_set_teaches_by_its_train_part_alone(tmp_path: Path) -> None:
    from datasets import Dataset, DatasetDict

    config = write_sets(tmp_path, documents=6)
    lines = [json.loads(line) for line in Path(config.train[0]).read_text("utf-8").splitlines()]
    columns = {key: [line[key] for line in lines] for key in ("document", "summary")}
    empty = {key: [""] for key in columns}  # refused, if it were read
    parts = {"train": columns, "validation": columns, "test": empty}
    path = str(tmp_path / "set")
    DatasetDict({name: Dataset.from_dict(part) for name, part in parts.items()}).save_to_disk(path)
    (figure,) = train_scorer(replace(config, train=[path], dev=[path], epochs=1), progress=False)
    assert figure.documents == 6


def test_a_classifier_gets_no_scorer(tmp_path: Path) -> None:
    config = write_sets(tmp_path)
    classifier = toy_bundle(tmp_path / "models", "labels", task="classify")
    with pytest.raises(UserError, match="name an encode bundle"):
        train_scorer(ScorerConfig(str(classifier), config.train, config.dev), progress=False)
    with pytest.raises(UserError, match="none/1: does not exist"):
        train_scorer(ScorerConfig(str(tmp_path / "none" / "1"), config.train, config.dev), progress=False)


def run_command(*arguments: str) -> int:
    parser = argparse.ArgumentParser()
    scorer_command.configure(parser)
    return scorer_command.execute(parser.parse_args(arguments))


def test_the_command_reads_its_file_and_its_options(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = write_sets(tmp_path, documents=20)
    file = tmp_path / "scorer.yaml"
    file.write_text(json.dumps({"train": config.train, "dev": config.dev, "epochs": 2, "hidden": 4}))
    assert run_command("--config", str(file), "--bundle", config.bundle, "--make-default", "--quiet") == 0
    assert "ROUGE-1/2/L scorer" in capsys.readouterr().out
    pooling = read_bundle(Path(config.bundle)).manifest.pooling
    assert pooling is not None
    assert pooling.method == "scorer"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("hiden: 3", "did you mean 'hidden'"),
        ("bundle: b", "train names no file"),
        ("bundle: b\nlearning_rate: 5", "learning_rate is 5; it must be above 0 and at most 1"),
        ("{bundle: b, train: [t], dev: [d], dropout: 1.0}", "dropout"),
        ("[", "not YAML"),
        ("{bundles: {other: {scorer: {train: [t]}}}}", "a recipe of the bundles other, and none of them is"),
    ],
)
def test_mistakes_in_the_file_are_named(tmp_path: Path, content: str, message: str) -> None:
    file = tmp_path / "scorer.yaml"
    file.write_text(content)
    with pytest.raises(UserError, match=message):
        run_command("--config", str(file), "--quiet")


@pytest.mark.slow
def test_the_rehearsal_touches_every_step(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command("--dry-run", "--quiet") == 0
    assert "every step works" in capsys.readouterr().out
