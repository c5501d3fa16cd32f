from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.toy import toy_tokenizer
from training.corpus.tokenising import DocumentEncoder
from training.corpus.worker import Batch, Pool, Settings, process
from training.errors import UserError
from training.tokenizer import load_tokenizer

TOKENIZER = toy_tokenizer()
TOKENIZER.encode_special_tokens = True
ENCODER = DocumentEncoder(TOKENIZER)


@given(st.lists(st.text("我喜欢苹果 ab。\n[MASK]", max_size=60), min_size=1, max_size=8))
def test_tokens_are_those_of_each_document_alone(texts: list[str]) -> None:
    processed = process(Batch(texts, 7), Settings("auto", 3, None), ENCODER)
    ends = np.cumsum(processed.lengths)
    for number, text in enumerate(texts):
        ids = processed.tokens[ends[number] - processed.lengths[number] : ends[number]].tolist()
        short = bool(processed.short[number])
        assert short == (processed.characters[number] < 3)
        assert ids == ([] if short else TOKENIZER.encode(text, add_special_tokens=False).ids)
    assert processed.position == 7


def test_special_tokens_in_text_stay_text() -> None:
    processed = process(Batch(["say [MASK] and [SEP] please"], 0), Settings("en", 1, None), ENCODER)
    assert not {2, 3, 4} & set(processed.tokens.tolist())


def test_pool_keeps_the_order_and_reads_little_ahead(tokenizer_file: Path) -> None:
    read = 0

    def batches() -> object:
        nonlocal read
        for number in range(40):
            read += 1
            yield Batch([f"文档 {number} " * (200 if number % 3 == 0 else 1)], number)

    pool = Pool(2, tokenizer_file)
    try:
        positions = []
        for processed in pool.map(batches(), Settings("zh", 1, 0.8)):  # type: ignore[arg-type]
            positions.append(processed.position)
            assert processed.bands is not None
            assert read - len(positions) <= 6
        assert positions == list(range(40))
    finally:
        pool.close()


def test_a_dead_worker_is_an_error_not_a_hang(tokenizer_file: Path) -> None:
    pool = Pool(1, tokenizer_file)
    try:
        pool.start()
        (worker,) = pool._executor._processes.values()
        worker.kill()
        with pytest.raises(UserError, match="a worker process was killed"):
            list(pool.map([Batch(["text"], 0)] * 20, Settings("en", 1, None)))
    finally:
        pool.close()


def test_the_workers_tokenizer_is_the_loaded_one(tokenizer_file: Path) -> None:
    pool = Pool(1, tokenizer_file)
    try:
        (processed,) = pool.map([Batch(["我 喜 欢 apples [CLS]"], 0)], Settings("auto", 1, None))
    finally:
        pool.close()
    expected = load_tokenizer(tokenizer_file).encode("我 喜 欢 apples [CLS]", add_special_tokens=False).ids
    assert processed.tokens.tolist() == expected
