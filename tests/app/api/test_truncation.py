"""Cutting to a number of tokens at either end."""

import asyncio

import pytest

from app.api.truncation import Side, cut_texts
from app.errors import ValidationFailed
from app.scheduler.engine import RequestContext
from tests.service import FixedModels


def cut(models: FixedModels, texts: list[str], tokens: int | None, side: Side) -> list[tuple[str, bool]]:
    context = RequestContext()
    model = models.served["sentiment"]
    try:
        return asyncio.run(cut_texts(model, texts, tokens, side, context, field="input"))
    finally:
        assert context.timing.tokenize > 0


@pytest.mark.parametrize(
    ("tokens", "side", "kept", "shortened"),
    [
        (5, "right", "我喜欢", True),
        (5, "left", "吃苹果", True),
        (8, "left", "我喜欢吃苹果", False),
        (-1, "right", "我喜欢吃苹果", False),
        (None, "left", "我喜欢吃苹果", False),
    ],
)
def test_what_is_kept(
    models: FixedModels, tokens: int | None, side: Side, kept: str, shortened: bool
) -> None:
    assert cut(models, ["我喜欢吃苹果"], tokens, side) == [(kept, shortened)]


def test_the_model_is_the_upper_limit(models: FixedModels) -> None:
    for side in ("left", "right"):
        ((text, shortened),) = cut(models, ["好" * 500], 400, side)  # type: ignore[arg-type]
        assert (len(text), shortened) == (models.served["sentiment"].encoder.room, True)


def test_a_left_cut_never_leaves_more_tokens_than_asked(models: FixedModels) -> None:
    """The rest of a word can take more tokens as a word of its own than it took within one."""
    encoder = models.served["sentiment"].encoder
    texts = ["the cat loved applesauce", "catcatcatcatcat", "xyzapples good"]
    for tokens in range(3, 12):
        for text, (kept, shortened) in zip(texts, cut(models, texts, tokens, "left"), strict=True):
            assert text.endswith(kept)
            assert shortened is (len(encoder.encode(text)) > tokens - 2)
            assert len(encoder.encode(kept)) <= tokens - 2


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("character", ["#️⃣", "好⃝"])
def test_a_character_of_several_tokens_is_kept_whole_or_not_at_all(
    character: str, side: Side, models: FixedModels
) -> None:
    encoder = models.served["sentiment"].encoder
    size = len(encoder.encode(character))
    assert size > 1
    for room in range(size, 3 * size):
        ((kept, shortened),) = cut(models, [3 * character], room + 2, side)
        assert kept == room // size * character
        assert shortened
    for text in (character, 2 * character):
        with pytest.raises(ValidationFailed, match="one character at that end takes more"):
            cut(models, [text], size + 1, side)


def test_a_left_cut_begins_with_a_word_where_one_begins(models: FixedModels) -> None:
    # i, cat, ##ed, bad, apples: the last three would begin within "cated".
    assert cut(models, ["i cated bad apples"], 5, "left") == [("bad apples", True)]
    assert cut(models, ["cated"], 3, "left") == [("d", True)], "no word begins among them"


def test_special_tokens_alone_are_no_text(models: FixedModels) -> None:
    with pytest.raises(ValidationFailed, match="truncate_prompt_tokens"):
        cut(models, ["好"], 2, "right")


def test_a_malformed_text_is_named(models: FixedModels) -> None:
    with pytest.raises(ValidationFailed, match=r"input\.1"):
        cut(models, ["好", "\ud800"], 5, "left")
