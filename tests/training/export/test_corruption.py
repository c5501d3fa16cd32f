"""Corruption through the generator graph: where, how much, and what is counted."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from app.tasks.model import ServedModel
from app.text.sequence import TokenSequence
from training.export.corruption import corrupt_at_random, corrupt_with_generator, replaced_logits, sample

TEXTS = ["我喜欢吃苹果今天天气很好不坏", "鑫他说的人们去公园吧", "中国新闻体育经济一二三四五六七八九十"]


def test_samples_stand_at_masked_places_only(detector: ServedModel) -> None:
    rows = [detector.encoder.encode(text) for text in TEXTS]
    corrupted, accuracy = asyncio.run(corrupt_with_generator(detector, rows, seed=3))
    assert accuracy.positions == sum(max(1, round(0.15 * (~row.unknown).sum())) for row in rows)
    for row, result in zip(rows, corrupted, strict=True):
        np.testing.assert_array_equal(result.replaced, result.ids != row.ids)
        assert result.replaced.sum() <= max(1, round(0.15 * len(row)))
        np.testing.assert_array_equal(result.scored, ~row.unknown)
        assert not result.replaced[row.unknown].any()
    again, _ = asyncio.run(corrupt_with_generator(detector, rows, seed=3))
    other, _ = asyncio.run(corrupt_with_generator(detector, rows, seed=4))
    assert all(np.array_equal(a.ids, b.ids) for a, b in zip(corrupted, again, strict=True))
    assert not all(np.array_equal(a.ids, b.ids) for a, b in zip(corrupted, other, strict=True))


def test_the_accuracy_is_that_of_the_graph(detector: ServedModel) -> None:
    rows = [detector.encoder.encode(text) for text in TEXTS]

    class Ranking:
        """Gives the right token of the first row rank 1, of the second rank 10, of the third rank 11."""

        async def infer(self, sequences: Sequence[TokenSequence], *_: object, **__: object) -> list[dict]:
            outputs = []
            for row, sequence, above in zip(rows, sequences, (0, 9, 10), strict=True):
                assert (sequence.input_ids[sequence.positions] == mask).all()
                logits = np.zeros((len(sequence.positions), 100), np.float32)
                truth = row.ids[sequence.positions - 1]
                logits[np.arange(len(truth)), truth] = 1.0
                for at, right in enumerate(truth):
                    others = [token for token in range(100) if token != right]
                    logits[at, others[:above]] = 2.0
                outputs.append({"logits": logits})
            return outputs

    mask = detector.encoder.special_tokens.mask
    told = replace(detector, engine=Ranking())
    _, accuracy = asyncio.run(corrupt_with_generator(told, rows, seed=3))
    first, second, third = (max(1, round(0.15 * int((~row.unknown).sum()))) for row in rows)
    total = first + second + third
    assert accuracy.positions == total
    assert accuracy.top1 == pytest.approx(first / total)
    assert accuracy.top10 == pytest.approx((first + second) / total)


def test_logits_of_known_words(detector: ServedModel) -> None:
    rows = corrupt_at_random([detector.encoder.encode("错我鑫坏好")], np.array([50]), seed=0, share=0.01)
    logits, labels = asyncio.run(replaced_logits(detector, rows))
    assert len(logits) == 4 == len(labels)
    assert labels.sum() == 1
    kept = [(-4.0, 4.0)[c in "错坏"] for c in "错我坏好"]
    np.testing.assert_allclose(logits[~labels], np.array(kept)[~labels], atol=1e-6)


def test_a_row_of_unknown_words_alone_is_left_out(detector: ServedModel) -> None:
    rows = [detector.encoder.encode(text) for text in ("鑫鑫鑫鑫", "我喜欢")]
    (kept,) = corrupt_at_random(rows, np.array([50]), seed=0)
    assert len(kept.ids) == 3


def test_samples_follow_the_softmax() -> None:
    logits = np.log(np.array([[0.5, 0.3, 0.2]] * 20_000, np.float32))
    drawn = sample(logits, np.random.default_rng(0))
    np.testing.assert_allclose(np.bincount(drawn, minlength=3) / 20_000, [0.5, 0.3, 0.2], atol=0.015)
    certain = np.array([[-1e4, 0.0, -1e4], [0.0, -1e4, -1e4], [-1e4, -1e4, 0.0]], np.float32)
    assert sample(certain, np.random.default_rng(0)).tolist() == [1, 0, 2]
