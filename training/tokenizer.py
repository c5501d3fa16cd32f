"""The WordPiece tokenizer: one vocabulary for Chinese and English together; this module owns normalisation.

Normalisation lives inside ``tokenizer.json`` as alignable steps, so that offsets always refer to the text as
sent: full-width letters, digits and a few ligatures are folded; CJK punctuation (，。“ ” ‘ ’ — …) is kept and
stands in the vocabulary; control characters are dropped; every Chinese character is a token of its own.
Lower-casing and accent stripping are separate choices and are saved with the tokenizer.
"""

from __future__ import annotations

import hashlib
import json
import unicodedata
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

from app.bundle import TOKENIZER_NAME, SpecialTokens
from app.bundle_files import sha256_of
from training.errors import UserError
from training.files import atomic_file

SPECIAL_TOKENS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
CHINESE_PUNCTUATION = "，。、；：？！“”‘’—…（）《》〈〉【】「」『』〔〕·～￥％"
LATIN_ALPHABET = "".join(map(chr, range(0x21, 0x7F)))
_LIGATURES = {"ﬀ": "ff", "ﬁ": "fi", "ﬂ": "fl", "ﬃ": "ffi", "ﬄ": "ffl"}
_FREQUENT = 8  # times that a character outside the fixed alphabet must be seen
_LONGEST_WORD = 100  # characters; a longer run without a space is one [UNK], as in BERT


def common_hanzi() -> str:
    """The 6,763 characters of GB 2312, the set that everyday simplified Chinese is written with."""
    codes = (bytes((high, low)) for high in range(0xB0, 0xF8) for low in range(0xA1, 0xFF))
    return "".join(code.decode("gb2312", errors="ignore") for code in codes)


def full_width_fold() -> dict[str, str]:
    """Full-width letters and digits, and Latin ligatures, with what they are folded to."""
    ranges = (range(0xFF10, 0xFF1A), range(0xFF21, 0xFF3B), range(0xFF41, 0xFF5B))
    return {chr(code): chr(code - 0xFEE0) for codes in ranges for code in codes} | _LIGATURES


def untrained(vocabulary: dict[str, int], *, lowercase: bool, strip_accents: bool) -> Tokenizer:
    """The tokenizer around a given ``vocabulary`` (token -> id); special tokens must stand in it."""
    tokenizer = Tokenizer(
        models.WordPiece(vocab=vocabulary, unk_token="[UNK]", max_input_chars_per_word=_LONGEST_WORD)
    )
    folds = [normalizers.Replace(wide, narrow) for wide, narrow in full_width_fold().items()]
    bert = normalizers.BertNormalizer(
        clean_text=True, handle_chinese_chars=True, strip_accents=strip_accents, lowercase=lowercase
    )
    tokenizer.normalizer = normalizers.Sequence([*folds, bert])
    tokenizer.pre_tokenizer = _pre_tokenizer()
    tokenizer.decoder = decoders.WordPiece(prefix="##")
    if all(token in vocabulary for token in SPECIAL_TOKENS):
        _finish(tokenizer)
    return tokenizer


def _pre_tokenizer() -> pre_tokenizers.PreTokenizer:
    # Digits one by one (½ and ① too): numbers compose, and a wrong digit can be pointed at. Symbols (～ ￥
    # emoji) are words of their own: they are not punctuation to Unicode, and would turn the word they touch
    # into [UNK].
    single = pre_tokenizers.Split(Regex(r"\p{N}|\p{S}"), behavior="isolated")
    return pre_tokenizers.Sequence([pre_tokenizers.BertPreTokenizer(), single])


def _finish(tokenizer: Tokenizer) -> None:
    ids = {token: tokenizer.token_to_id(token) for token in SPECIAL_TOKENS}
    tokenizer.add_special_tokens(list(SPECIAL_TOKENS))
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[("[CLS]", ids["[CLS]"]), ("[SEP]", ids["[SEP]"])],
    )
    tokenizer.encode_special_tokens = True


def special_tokens(tokenizer: Tokenizer) -> SpecialTokens:
    """Their ids; a tokenizer of :func:`load_tokenizer` has all five."""
    ids = {name: tokenizer.token_to_id(f"[{name.upper()}]") for name in SpecialTokens.model_fields}
    return SpecialTokens.model_validate(ids)


def train_tokenizer(
    texts: Iterable[str],
    vocab_size: int,
    *,
    lowercase: bool = True,
    strip_accents: bool = True,
) -> Tokenizer:
    """Train WordPiece on ``texts``.

    The alphabet is chosen first: GB 2312, the printable ASCII, Chinese punctuation, and every further
    character seen at least ``_FREQUENT`` times; what remains of ``vocab_size`` goes to word pieces
    by frequency.

    Raises:
        UserError: no text at all, or a ``vocab_size`` that cannot hold the alphabet.
    """
    shell = untrained({"[UNK]": 0}, lowercase=lowercase, strip_accents=strip_accents)
    # Words are counted by the trainer itself; the alphabet must be known before it starts.
    kept = list(texts)
    counts: Counter[str] = Counter()
    for text in kept:
        counts.update(text)
    if not any(text.strip() for text in kept):
        raise UserError(
            "tokenizer: the corpus holds no text; point `corpus.sources` at a folder with text in it"
        )
    alphabet = _alphabet(counts, shell)
    if vocab_size < len(alphabet) + len(SPECIAL_TOKENS) + 256:
        raise UserError(
            f"tokenizer: vocab_size {vocab_size} cannot hold the alphabet of {len(alphabet)} characters; "
            f"ask for at least {len(alphabet) + 1024}"
        )
    trainer = trainers.WordPieceTrainer(
        vocab_size=vocab_size,
        min_frequency=2,
        limit_alphabet=len(alphabet),
        initial_alphabet=alphabet,
        special_tokens=list(SPECIAL_TOKENS),
        show_progress=False,
        continuing_subword_prefix="##",
    )
    shell.train_from_iterator(kept, trainer=trainer)
    tokens = [token for token, _ in sorted(shell.get_vocab().items(), key=lambda item: item[1])]
    # The trainer leaves out a character that it met inside words only, and a continuation that it never met;
    # without them, a rare word would be [UNK] instead of its letters.
    seen = set(tokens)
    continuations = [f"##{letter}" for letter in alphabet if letter.isascii() and letter.isalpha()]
    missing = [token for token in [*alphabet, *continuations] if token not in seen]
    if missing:
        room = vocab_size - len(missing)
        tokens = tokens[: max(room, len(SPECIAL_TOKENS))] + missing
    vocabulary = {token: index for index, token in enumerate(tokens)}
    return untrained(vocabulary, lowercase=lowercase, strip_accents=strip_accents)


def _alphabet(counts: Counter[str], shell: Tokenizer) -> list[str]:
    frequent = (character for character, count in counts.items() if count >= _FREQUENT)
    wanted = {*common_hanzi(), *LATIN_ALPHABET, *CHINESE_PUNCTUATION, *frequent}
    normalised = {part for character in wanted for part in shell.normalizer.normalize_str(character).strip()}
    return sorted(
        c for c in normalised if not c.isspace() and unicodedata.category(c) not in ("Cc", "Cf", "Cs", "Mn")
    )


_CLEANING = normalizers.BertNormalizer(
    clean_text=True, handle_chinese_chars=False, strip_accents=True, lowercase=False
)


def is_blank(text: str) -> bool:
    """Whether cleaning leaves nothing of ``text`` (blanks, controls, zero-width characters, accents alone).

    The service refuses such a text.
    """
    if any(map(str.isalnum, text)):  # as nearly always: cleaning takes no letter and no digit
        return False
    return not _CLEANING.normalize_str(text.encode(errors="ignore").decode()).strip()


def load_tokenizer(path: Path) -> Tokenizer:
    """Load ``tokenizer.json``, from a file or a checkpoint directory; a directory with only ``vocab.txt``
    works too.

    User text is never parsed for special tokens, and nothing is truncated or padded.

    Raises:
        UserError: no tokenizer there, or one that cannot be read or lacks special tokens.
    """
    file = path / TOKENIZER_NAME if path.is_dir() else path
    try:
        if file.is_file() and file.suffix == ".json":
            tokenizer = Tokenizer.from_file(str(file))
        elif (vocabulary := path / "vocab.txt" if path.is_dir() else path).is_file():
            tokenizer = _from_vocabulary_file(vocabulary)
        else:
            raise UserError(
                f"{path}: no tokenizer.json and no vocab.txt; copy the tokenizer of the checkpoint there"
            )
    except UserError:
        raise
    except Exception as error:  # the Rust side raises plain Exception
        raise UserError(f"{file}: cannot be read as a tokenizer ({error}); save it again") from None
    missing = [token for token in SPECIAL_TOKENS if tokenizer.token_to_id(token) is None]
    if missing:
        raise UserError(
            f"{file}: the vocabulary lacks {', '.join(missing)}; an ELECTRA tokenizer has all five"
        )
    tokenizer.no_truncation()
    tokenizer.no_padding()
    tokenizer.encode_special_tokens = True
    return tokenizer


def _from_vocabulary_file(path: Path) -> Tokenizer:
    tokens = path.read_text(encoding="utf-8").splitlines()
    config_file = path.parent / "tokenizer_config.json"
    config = json.loads(config_file.read_text(encoding="utf-8")) if config_file.is_file() else {}
    lowercase = bool(config.get("do_lower_case", True))
    stripped = config.get("strip_accents")
    tokenizer = Tokenizer(models.WordPiece(vocab={t: i for i, t in enumerate(tokens)}, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(
        clean_text=True,
        handle_chinese_chars=bool(config.get("tokenize_chinese_chars", True)),
        strip_accents=lowercase if stripped is None else bool(stripped),
        lowercase=lowercase,
    )
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece(prefix="##")
    if all(token in tokens for token in SPECIAL_TOKENS):
        _finish(tokenizer)
    return tokenizer


def save_tokenizer(tokenizer: Tokenizer, directory: Path) -> None:
    """Write ``tokenizer.json``, ``vocab.txt`` and a ``tokenizer_config.json`` that ``AutoTokenizer``
    understands.
    """
    with atomic_file(directory / TOKENIZER_NAME, "w", encoding="utf-8") as stream:
        stream.write(tokenizer.to_str(pretty=False))
    tokens = sorted(tokenizer.get_vocab().items(), key=lambda item: item[1])
    with atomic_file(directory / "vocab.txt", "w", encoding="utf-8") as stream:
        stream.writelines(f"{token}\n" for token, _ in tokens)
    config = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "model_max_length": 512,
        "pad_token": "[PAD]",
        "unk_token": "[UNK]",
        "cls_token": "[CLS]",
        "sep_token": "[SEP]",
        "mask_token": "[MASK]",
    }
    with atomic_file(directory / "tokenizer_config.json", "w", encoding="utf-8") as stream:
        json.dump(config, stream, indent=2)


def tokenizer_digest(path: Path) -> str:
    """SHA-256 of ``tokenizer.json`` (a file, or in a directory): the key under which token ids are valid.

    Where only ``vocab.txt`` is, that of the ``tokenizer.json`` that ``save_tokenizer`` would write.

    Raises:
        UserError: see ``load_tokenizer``.
    """
    file = path / TOKENIZER_NAME if path.is_dir() else path
    if file.suffix == ".json" and file.is_file():
        return sha256_of(file)
    return hashlib.sha256(load_tokenizer(path).to_str(pretty=False).encode()).hexdigest()
