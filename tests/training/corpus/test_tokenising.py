from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers

from tests.toy import toy_tokenizer
from training.corpus import tokenising
from training.corpus.cleaning import clean_text
from training.corpus.tokenising import DocumentEncoder, piece_pattern, token_dtype
from training.tokenizer import untrained

VOCABULARY = toy_tokenizer().get_vocab()


def ours(lowercase: bool = True) -> Tokenizer:
    return untrained(VOCABULARY, lowercase=lowercase, strip_accents=lowercase)


def toy() -> Tokenizer:
    tokenizer = toy_tokenizer()
    tokenizer.encode_special_tokens = True
    return tokenizer


def plain_bert(handle_chinese_chars: bool) -> Tokenizer:
    tokenizer = Tokenizer(models.WordPiece(vocab=VOCABULARY, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(handle_chinese_chars=handle_chinese_chars)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.encode_special_tokens = True
    return tokenizer


TOKENIZERS: dict[str, Callable[[], Tokenizer]] = {
    "ours": ours,
    "cased": lambda: ours(lowercase=False),
    "toy": toy,
    "bert": lambda: plain_bert(True),
    "bert without Chinese": lambda: plain_bert(False),
}
# Chinese of several planes, full-width forms, ligatures, punctuation, combining marks, odd spaces, specials.
MIXED = st.lists(
    st.sampled_from([*"我喜欢苹果abC1９Ａ，。“…éÉ=<'.-_＝；(【·", "\n", " ", " "])
    | st.sampled_from(["ﬁ", "\u0301", "\u0338", "\u3099", "カ", "한", "𠀀", "豈", "\u2003", "\u1680"])
    | st.sampled_from(["😀", "￥"])
    | st.sampled_from(["[MASK]", "[SEP]", "##ing", "apples", "hello", "don't", "İ", "ß", "Σ", "x" * 120])
    | st.text(max_size=3),
    max_size=25,
).map("".join)


@pytest.mark.parametrize("name", TOKENIZERS)
@settings(max_examples=60)
@given(texts=st.lists(MIXED, min_size=1, max_size=4))
def test_ids_are_those_of_the_tokenizer(name: str, texts: list[str]) -> None:
    tokenizer = TOKENIZERS[name]()
    assert piece_pattern(tokenizer) is not None
    clean = [clean_text(text) for text in texts]
    encoder = DocumentEncoder(tokenizer)
    for _ in range(2):  # the second time from the kept pieces
        for text, ids in zip(clean, encoder.encode(clean), strict=True):
            assert ids.tolist() == tokenizer.encode(text, add_special_tokens=False).ids


def sensitive_to_context() -> list[Tokenizer]:
    """Tokenizers whose ids for a word may depend on what stands around it."""
    spaces_kept, folding_marks, no_cut, added, not_wordpiece = (plain_bert(True) for _ in range(5))
    spaces_kept.pre_tokenizer = pre_tokenizers.Metaspace()
    folding_marks.normalizer = normalizers.Sequence(
        [normalizers.Replace("。", "a"), folding_marks.normalizer]
    )
    no_cut.pre_tokenizer = None
    added.add_tokens(["喜欢 apples"])
    not_wordpiece.model = models.BPE(vocab=VOCABULARY, merges=[])
    parsing = plain_bert(True)
    parsing.encode_special_tokens = False
    return [spaces_kept, folding_marks, no_cut, added, not_wordpiece, parsing]


@pytest.mark.parametrize("number", range(6))
def test_other_tokenizers_see_whole_documents(number: int) -> None:
    tokenizer = sensitive_to_context()[number]
    assert piece_pattern(tokenizer) is None
    texts = ["我喜欢 apples", "喜欢 apples"]
    for text, ids in zip(texts, DocumentEncoder(tokenizer).encode(texts), strict=True):
        assert ids.tolist() == tokenizer.encode(text, add_special_tokens=False).ids


def test_kept_pieces_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tokenising, "_KEPT_PIECES", 50)
    tokenizer = ours()
    encoder = DocumentEncoder(tokenizer)
    for number in range(40):
        text = " ".join(f"{letter}{number}" for letter in "abcdefghij") + " " + "y" * 40
        (ids,) = encoder.encode([text])
        assert ids.tolist() == tokenizer.encode(text, add_special_tokens=False).ids
        assert len(encoder._kept) <= 50 + 10
        assert not any(len(piece) > 32 for piece in encoder._kept)


def test_large_vocabularies_get_a_wider_type() -> None:
    assert token_dtype(65_536) is np.uint16
    assert token_dtype(65_537) is np.uint32
