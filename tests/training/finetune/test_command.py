"""The verb as a user meets it."""

from __future__ import annotations

import argparse
import re
from pathlib import Path

import pytest

from training.errors import UserError
from training.finetune import command


def _parse(*words: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    command.configure(parser)
    return parser.parse_args(words)


def test_the_command_line_overrides_the_file(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text("finetune: {checkpoint: x, train: [a.tsv], epochs: 2, label_names: {'0': bad}}\n")
    config = command._config(
        _parse(
            "--config", str(path), "--epochs", "5", "--seeds", "1", "2", "--set", "head=plain", "dev=[d.tsv]"
        )
    )
    assert (config.epochs, config.seeds, config.head, config.dev) == (5.0, (1, 2), "plain", ("d.tsv",))
    assert config.label_names == {"0": "bad"}


def test_set_reaches_the_keys_of_a_key(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text("{checkpoint: x, train: [a.tsv], columns: {text: satz}}\n")
    words = ["--set", "columns.label=klasse", "columns.label_separator=;", "label_names.0=bad"]
    config = command._config(_parse("--config", str(path), *words))
    columns = config.columns
    assert (columns.text, columns.label, columns.label_separator) == ("satz", "klasse", ";")
    assert config.label_names == {"0": "bad"}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--train", "a"], "--output is missing"),
        (["--output", "o", "--train", "a"], "finetune: key 'checkpoint' is missing"),
        (["--output", "o", "--checkpoint", "c"], "finetune: train must name at least one labelled file"),
        (["--output", "o", "--checkpoint", "c", "--set", "x"], "--set x: write KEY=VALUE"),
        (["--output", "o", "--set", "columns.lable=x"], "unknown key 'lable'; did you mean 'label'?"),
        (["--output", "o", "--set", "epochs=1", "epochs.x=1"], "'epochs' holds one value, not keys"),
        (["--output", "o", "--set", "head=["], "--set head=[: the value is not YAML"),
        (["--output", "o", "--set", "epoch=1"], "finetune: unknown key 'epoch'; did you mean 'epochs'?"),
        (
            ["--output", "o", "--checkpoint", "c", "--train", "a", "--task", "tokens"],
            "'tokens' is not allowed",
        ),
        (["--output", "o", "--config", "nowhere.yaml"], "nowhere.yaml: no such file"),
    ],
)
def test_mistakes_are_named(words: list[str], message: str) -> None:
    with pytest.raises(UserError, match=re.escape(message)):
        command.execute(_parse(*words))


def test_yaml_that_is_no_mapping(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text("- 1\n")
    with pytest.raises(UserError, match="expected keys and values"):
        command._config(_parse("--config", str(path)))
    path.write_text("a: [\n")
    with pytest.raises(UserError, match="not YAML"):
        command._config(_parse("--config", str(path)))


def test_dry_run_touches_everything_and_keeps_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert command.execute(_parse("--dry-run")) == 0
    printed = capsys.readouterr().out
    assert "classifier: accuracy" in printed
    assert "detector: average_precision" in printed
    assert list(tmp_path.iterdir()) == []


def test_help_has_examples() -> None:
    parser = argparse.ArgumentParser()
    command.configure(parser)
    assert "electra-train finetune --dry-run" in parser.format_help()


def test_summary_shows_spread_and_baselines() -> None:
    run = {"tokens_per_second": 100.0}
    report = {
        "metric": "accuracy",
        "seeds": [run, run],
        "failed": 1,
        "seconds": 3.0,
        "precision": "fp32",
        "test_mean": {"accuracy": 0.8},
        "test_std": {"accuracy": 0.01},
        "vote": {"test": {"accuracy": 0.82}},
        "ngrams": {"test": {"ngrams": {"accuracy": 0.83}, "together": {"accuracy": 0.86}}},
        "baselines": {"majority": {"test": {"accuracy": 0.5}}},
    }
    assert command.summary(report).splitlines() == [
        "test accuracy 80.00 ± 1.00 over 2 seeds, vote 82.00, n-grams 83.00, together 86.00, majority 50.00",
        "1 of 2 runs failed (no better than the majority class); 3.0 s, 100 tokens/s, fp32",
    ]
