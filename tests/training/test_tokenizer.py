"""One vocabulary, two languages, offsets on the text as sent."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer

from tests.hard_text import FRAGMENTS
from training.errors import UserError
from training.tokenizer import (
    CHINESE_PUNCTUATION,
    SPECIAL_TOKENS,
    common_hanzi,
    is_blank,
    load_tokenizer,
    save_tokenizer,
    tokenizer_digest,
    train_tokenizer,
)

TEXTS = [
    "今天天气很好，我们去公园吧！",
    "The cat sat on the mat, happily.",
    "iPhone 15 Pro 很贵；价格是￥9,999。",
] * 30


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return train_tokenizer(TEXTS, 8192)


def test_special_tokens_come_first(tokenizer: Tokenizer) -> None:
    assert [tokenizer.id_to_token(index) for index in range(5)] == list(SPECIAL_TOKENS)


def test_every_common_character_and_punctuation_mark_is_known(tokenizer: Tokenizer) -> None:
    vocabulary = tokenizer.get_vocab()
    assert len(common_hanzi()) == 6763
    assert not [c for c in common_hanzi() + CHINESE_PUNCTUATION if c not in vocabulary]
    assert {"“", "”", "‘", "’", "—", "…"} <= vocabulary.keys()


def test_every_chinese_character_is_a_token(tokenizer: Tokenizer) -> None:
    assert tokenizer.encode("我喜欢吃苹果。", add_special_tokens=False).tokens == list("我喜欢吃苹果。")


def test_full_width_is_folded_and_offsets_kept(tokenizer: Tokenizer) -> None:
    text = "ＡＢＣ１２ｃａｔ"
    encoded = tokenizer.encode(text, add_special_tokens=False)
    assert "".join(token.removeprefix("##") for token in encoded.tokens) == "abc12cat"
    assert encoded.offsets[0][0] == 0
    assert encoded.offsets[-1][1] == len(text)
    assert tokenizer.encode("cat").ids == tokenizer.encode("ｃａｔ").ids


def test_punctuation_keeps_its_width(tokenizer: Tokenizer) -> None:
    assert tokenizer.encode("，").ids != tokenizer.encode(",").ids


def test_typed_special_tokens_are_plain_text(tokenizer: Tokenizer) -> None:
    ids = tokenizer.encode("[MASK]好[SEP][PAD]", add_special_tokens=False).ids
    assert not set(ids) & {0, 2, 3, 4}


@given(st.one_of(st.text(), st.lists(st.sampled_from(FRAGMENTS)).map("".join)))
def test_offsets_stay_inside_the_text_and_never_go_back(text: str) -> None:
    encoded = _shared().encode(text, add_special_tokens=False)
    last = 0
    for start, end in encoded.offsets:
        assert 0 <= start <= end <= len(text)
        assert start >= last or (start, end) != (0, 0)
        last = start


_cache: list[Tokenizer] = []


def _shared() -> Tokenizer:
    if not _cache:
        _cache.append(train_tokenizer(TEXTS, 8192))
    return _cache[0]


def test_saved_and_loaded_it_gives_the_same_ids(tokenizer: Tokenizer, tmp_path: Path) -> None:
    save_tokenizer(tokenizer, tmp_path)
    again = load_tokenizer(tmp_path)
    assert again.encode(TEXTS[2]).ids == tokenizer.encode(TEXTS[2]).ids
    assert again.encode_special_tokens
    assert tokenizer_digest(tmp_path) == tokenizer_digest(tmp_path / "tokenizer.json")


def test_a_directory_with_only_a_vocabulary_file_works(tokenizer: Tokenizer, tmp_path: Path) -> None:
    save_tokenizer(tokenizer, tmp_path)
    (tmp_path / "tokenizer.json").unlink()
    loaded = load_tokenizer(tmp_path)
    assert loaded.encode("我喜欢 cat").ids == tokenizer.encode("我喜欢 cat").ids
    digest = tokenizer_digest(tmp_path)
    assert digest == tokenizer_digest(tmp_path / "vocab.txt")
    save_tokenizer(loaded, tmp_path / "saved")
    assert digest == tokenizer_digest(tmp_path / "saved")
    config = json.loads((tmp_path / "tokenizer_config.json").read_text(encoding="utf-8"))
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(config | {"do_lower_case": False}))
    assert digest != tokenizer_digest(tmp_path)


@pytest.mark.parametrize("text", [" \u3000\n", "\u200b", "\ufeff\u00ad", "\u0301", "\x00\ufffd", "\ud800"])
def test_text_of_which_cleaning_leaves_nothing(text: str) -> None:
    assert is_blank(text)
    assert not is_blank(f"{text}。")
    assert not is_blank(f"{text}x")


def test_case_and_accents_are_separate_choices() -> None:
    texts = ["Café Paris CAFÉ Café"] * 30
    both = train_tokenizer(texts, 8192, lowercase=False, strip_accents=False)
    assert both.normalizer.normalize_str("Café") == "Café"
    assert train_tokenizer(texts, 8192).normalizer.normalize_str("Café") == "cafe"


def test_too_small_or_empty_is_said(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="vocab_size 100 cannot hold the alphabet"):
        train_tokenizer(TEXTS, 100)
    with pytest.raises(UserError, match="the corpus holds no text"):
        train_tokenizer(["  "], 8192)
    with pytest.raises(UserError, match=r"no tokenizer\.json and no vocab\.txt"):
        load_tokenizer(tmp_path)
    (tmp_path / "tokenizer.json").write_text("{}", encoding="utf-8")
    with pytest.raises(UserError, match="cannot be read as a tokenizer"):
        load_tokenizer(tmp_path)
