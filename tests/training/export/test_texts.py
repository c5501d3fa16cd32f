"""Real text in the lengths that are asked for."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from app.bundle_files import read_bundle
from app.tasks.model import load_encoder
from app.text.encoder import TextEncoder
from tests.toy import toy_bundle
from training.errors import UserError
from training.export.texts import pieces_of_lengths, read_documents, rows_of_text, sentences_of


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> TextEncoder:
    return load_encoder(read_bundle(toy_bundle(tmp_path_factory.mktemp("models"), "toy")))


def test_lengths_run_from_one_to_the_longest(encoder: TextEncoder) -> None:
    documents = ["我喜欢吃苹果。" * 30, "今天天气很好" * 20]
    pieces = pieces_of_lengths(documents, encoder, 50)
    lengths = [len(piece) for piece in pieces]
    assert (len(pieces), min(lengths), max(lengths)) == (50, 1, encoder.room)
    assert np.median(lengths) < encoder.room / 2
    stream = np.concatenate([encoder.encode(document).ids for document in documents]).tolist()
    for piece in pieces:
        assert any(stream[at : at + len(piece)] == piece.tolist() for at in range(len(stream)))
    again = pieces_of_lengths(documents, encoder, 50)
    assert all(np.array_equal(a, b) for a, b in zip(pieces, again, strict=True))


def test_too_little_text_is_said_so(encoder: TextEncoder) -> None:
    with pytest.raises(UserError, match="6 tokens are too few to fill the model's 62"):
        pieces_of_lengths(["我喜欢吃苹果"], encoder, 5)


def test_a_folder_gives_every_file_its_share(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / f"{name}.txt").write_text(
            "\n".join(f"{name}{i}" * 20 for i in range(100)), encoding="utf-8"
        )
    documents = read_documents([str(tmp_path)], max_characters=1000)
    counts = [sum(document.startswith(name) for document in documents) for name in "ab"]
    assert counts[0] == pytest.approx(counts[1], abs=4)
    assert sum(map(len, documents)) < 1400


def test_the_sample_is_there_when_no_path_is_named() -> None:
    documents = read_documents([], max_characters=50_000)
    assert any("\u4e00" <= character <= "\u9fff" for character in "".join(documents))


def test_a_path_without_text(tmp_path: Path) -> None:
    (tmp_path / "blank.txt").write_text(" \n \n")
    with pytest.raises(UserError, match=r"blank\.txt: holds no text"):
        read_documents([str(tmp_path / "blank.txt")])


def test_sentences_have_the_lengths_asked_for(encoder: TextEncoder) -> None:
    text = "短。这是一个足够长的句子。" + "长" * 300 + "。The cat sat on the mat."
    found = sentences_of([text])
    assert sorted(found) == ["The cat sat on the mat.", "这是一个足够长的句子。"]
    assert len(sentences_of([text], 1)) == 1
    rows = rows_of_text([text] * 3, encoder, tokens=20, limit=2)
    assert len(rows) == 2
    assert all(8 <= len(row) <= 20 for row in rows)


def test_no_row_is_longer_than_the_model(encoder: TextEncoder) -> None:
    texts = ["我喜欢吃苹果" * length + "。" for length in (5, 10, 11, 15)]
    rows = rows_of_text(texts, encoder, tokens=126, limit=9)
    assert sorted(len(row) for row in rows) == [31, 61]
    for row in rows:
        encoder.sequence(row.ids)
