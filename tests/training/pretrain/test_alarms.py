"""Alarms ring when and only when something failed, and reach the log and the terminal."""

import math
from dataclasses import replace
from pathlib import Path

import pytest

from tests.training.pretrain.run_here import tiny_config, train
from training.pretrain import loop
from training.pretrain.alarms import alarms
from training.pretrain.health import Health
from training.pretrain.log import read_log

FINE = Health(5.0, 4.0, 0.3, 0.2, 0.2, 0.7, 0.85, 0.5, 0.1, 0.05, 6.8)
VOCABULARY = 20_000


def test_no_alarm_while_all_is_well_or_still_warming_up() -> None:
    assert alarms([(step, FINE) for step in range(100, 1000, 100)], 50, VOCABULARY) == []
    poor = replace(FINE, auroc=0.5, generator_loss=math.log(VOCABULARY))
    assert alarms([(step, poor) for step in (10, 20, 30)], 100, VOCABULARY) == []


def test_a_generator_that_does_not_learn_is_named() -> None:
    stuck = replace(FINE, generator_loss=math.log(VOCABULARY) - 0.1)
    (text,) = alarms([(100, stuck), (200, stuck)], 50, VOCABULARY)
    assert "the generator does not learn" in text
    assert "learning rate" in text


def test_a_generator_that_gets_worse_is_named() -> None:
    history = [(100 * n, replace(FINE, generator_loss=4 + 0.4 * n)) for n in range(1, 5)]
    assert "gets worse" in alarms(history, 50, VOCABULARY)[0]


def test_a_discriminator_at_chance_is_named() -> None:
    history = [(100 * n, replace(FINE, auroc=0.505)) for n in range(1, 5)]
    assert "cannot tell replaced from original" in alarms(history, 50, VOCABULARY)[0]


def test_collapse_to_the_majority_class_is_named() -> None:
    history = [(100 * n, replace(FINE, auroc=0.57, flagged_rate=0.0)) for n in range(1, 3)]
    assert "majority class" in alarms(history, 50, VOCABULARY)[0]


def test_a_generator_that_only_knows_frequencies_is_named() -> None:
    # The losses of runs that others published as failed; blind guessing would cost 9.9.
    stuck = replace(FINE, generator_loss=6.7, generator_accuracy=0.04)
    (text,) = alarms([(500, stuck), (10_500, stuck)], 10_000, VOCABULARY)
    assert "has learnt how frequent words are and no more" in text
    assert "6.70 at step 10500, and guessing by frequency costs 6.80" in text
    learning = [(500, stuck), (10_500, replace(FINE, generator_loss=6.5))]
    assert alarms(learning, 10_000, VOCABULARY) == []
    unknown = replace(stuck, frequency_loss=math.nan)  # of a run from before
    assert alarms([(500, unknown), (10_500, unknown)], 10_000, VOCABULARY) == []


def test_a_few_flags_are_no_life() -> None:
    history = [(100 * n, replace(FINE, auroc=0.56, flagged_rate=0.0005)) for n in range(1, 3)]
    assert "majority class" in alarms(history, 50, VOCABULARY)[0]
    shy = [(100 * n, replace(FINE, auroc=0.66, flagged_rate=0.0005)) for n in range(1, 5)]
    assert alarms(shy, 50, VOCABULARY) == [], "an early discriminator that ranks well"


@pytest.mark.parametrize("rate", [0.0, 1.0])
def test_nothing_to_tell_apart_is_named(rate: float) -> None:
    history = [(100 * n, replace(FINE, auroc=math.nan, replaced_rate=rate)) for n in range(1, 3)]
    assert f"nothing to tell apart: {rate:.0%} of the held-out" in alarms(history, 50, VOCABULARY)[0]


def test_alarms_reach_the_log_and_the_terminal(
    root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    stuck = replace(FINE, generator_loss=6.7)
    monkeypatch.setattr(loop, "_health", lambda run, context: stuck)
    run = train(root, config=replace(tiny_config(4), evaluate_every=2))
    (alarm,) = [record for record in read_log(run / "log.jsonl") if "alarm" in record]
    assert alarm["step"] == 4
    assert "and no more" in alarm["alarm"]
    assert f"ALARM: {alarm['alarm']}" in capsys.readouterr().out
