import json

import numpy as np
import pytest
import regex
from hypothesis import given

from app.bundle import SpecialTokens
from app.text.encoder import LONG_TEXT, MalformedText, TextEncoder
from app.text.offsets import grapheme_starts
from tests.hard_text import hard_text
from tests.toy import toy_tokenizer

SPECIALS = SpecialTokens(pad=0, unk=1, cls=2, sep=3, mask=4)


@pytest.fixture(scope="module")
def encoder(tmp_path_factory):
    path = tmp_path_factory.mktemp("tokenizer") / "tokenizer.json"
    toy_tokenizer().save(str(path))
    return TextEncoder(path, SPECIALS, 16)


def words(encoder, text):
    encoded = encoder.encode(text)
    return [
        (encoder.pieces[index], text[start:end])
        for index, (start, end) in zip(encoded.ids, encoded.offsets.tolist(), strict=True)
    ]


@given(text=hard_text)
def test_tokens_point_at_whole_graphemes_in_order(encoder, text):
    offsets = encoder.encode(text).offsets
    boundaries = {*grapheme_starts(text).tolist(), len(text)}
    assert set(offsets.flatten().tolist()) <= boundaries
    assert (offsets[:, 0] < offsets[:, 1]).all()
    assert (np.diff(offsets[:, 0]) >= 0).all()


@given(text=hard_text)
def test_no_letter_is_lost(encoder, text):
    covered = np.zeros(len(text), bool)
    for start, end in encoder.encode(text).offsets.tolist():
        covered[start:end] = True
    assert not regex.search(
        r"[\p{Han}A-Za-z0-9]", "".join(c for c, seen in zip(text, covered, strict=True) if not seen)
    )


@given(text=hard_text)
def test_no_text_holds_a_special_token(encoder, text):
    encoded = encoder.encode(text)
    assert not np.isin(encoded.ids, [SPECIALS.pad, SPECIALS.cls, SPECIALS.sep, SPECIALS.mask]).any()
    assert (encoded.unknown == (encoded.ids == SPECIALS.unk)).all()


def test_a_typed_special_token_stays_text(encoder):
    assert words(encoder, "吃[MASK]") == [("吃", "吃"), ("[UNK]", "["), ("mask", "MASK"), ("[UNK]", "]")]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("“错”", [("“", "“"), ("错", "错"), ("”", "”")]),
        ("ＡＢＣ", [("a", "Ａ"), ("##b", "Ｂ"), ("##c", "Ｃ")]),
        ("cafe\u0301s", [("c", "c"), ("##a", "a"), ("##f", "f"), ("##e", "e\u0301"), ("##s", "s")]),
        ("ﬁne", [("f", "ﬁ"), ("##i", "ﬁ"), ("##n", "n"), ("##e", "e")]),
        ("\u1100\u1161\u11a8", [("[UNK]", "\u1100\u1161\u11a8")]),
        ("👨\u200d👩\u200d👧吃", [("[UNK]", "👨\u200d👩\u200d👧"), ("吃", "吃")]),
        ("𝒚𝒛", [("y", "𝒚"), ("##z", "𝒛")]),
        ("好\u200b\ufeff\u3000吃", [("好", "好"), ("吃", "吃")]),
        ("", []),
    ],
)
def test_tokens_of_hard_text(encoder, text, expected):
    assert words(encoder, text) == expected


def test_continuation_marks_pieces_inside_a_word(encoder):
    assert encoder.encode("iPhone15 pro").continuation.tolist() == [False, True, True, False]


def test_long_texts_are_encoded_as_short_ones_are(encoder):
    piece = "我喜欢cafe\u0301👨\u200d👩\u200d👧 [MASK] "
    short, long = encoder.encode(piece), encoder.encode(piece * LONG_TEXT)
    assert (long.ids == np.tile(short.ids, LONG_TEXT)).all()
    assert (long.offsets[-len(short) :] == short.offsets + len(piece) * (LONG_TEXT - 1)).all()


def test_a_lone_surrogate_is_refused_with_its_place(encoder):
    with pytest.raises(MalformedText, match="position 2") as caught:
        encoder.encode("ab\udc00")
    assert caught.value.position == 2


def test_a_row_has_its_special_tokens_types_and_positions(encoder):
    row = encoder.sequence(np.array([7, 8]), np.array([9]), positions=np.array([1]))
    assert row.input_ids.tolist() == [2, 7, 8, 3, 9, 3]
    assert row.token_type_ids.tolist() == [0, 0, 0, 0, 1, 1]
    assert row.positions.tolist() == [2]
    assert encoder.sequence(np.array([7])).token_type_ids is None


def test_max_tokens_counts_the_special_tokens(encoder):
    assert len(encoder.sequence(np.full(encoder.room, 7))) == 16
    with pytest.raises(ValueError, match="17 tokens"):
        encoder.sequence(np.full(encoder.room + 1, 7))


def test_a_file_that_is_no_tokenizer_is_refused(tmp_path):
    path = tmp_path / "tokenizer.json"
    path.write_text("{}")
    with pytest.raises(ValueError, match="is no tokenizer"):
        TextEncoder(path, SPECIALS, 16)


def test_special_tokens_that_stand_elsewhere_are_refused(tmp_path):
    path = tmp_path / "tokenizer.json"
    toy_tokenizer().save(str(path))
    with pytest.raises(ValueError, match=r"id 5 is not \[MASK\]"):
        TextEncoder(path, SPECIALS.model_copy(update={"mask": 5}), 16)


def test_a_tokenizer_that_would_read_mask_out_of_text_is_refused(tmp_path):
    path = tmp_path / "tokenizer.json"
    content = json.loads(toy_tokenizer().to_str())
    for token in content["added_tokens"]:
        if token["content"] == "[MASK]":
            token["special"] = False
    path.write_text(json.dumps(content))
    with pytest.raises(ValueError, match=r"\[MASK\] is an ordinary added token"):
        TextEncoder(path, SPECIALS, 16)
