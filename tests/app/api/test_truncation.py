"""Cutting to a number of tokens at either end."""

import pytest

from app.api.truncation import cut_text
from app.errors import ValidationFailed
from tests.service import FixedModels


@pytest.mark.parametrize(
    ("tokens", "side", "kept", "cut"),
    [
        (5, "right", "我喜欢", True),
        (5, "left", "吃苹果", True),
        (8, "left", "我喜欢吃苹果", False),
        (-1, "right", "我喜欢吃苹果", False),
        (None, "left", "我喜欢吃苹果", False),
    ],
)
def test_what_is_kept(models: FixedModels, tokens: int | None, side: str, kept: str, cut: bool) -> None:
    model = models.served["sentiment"]
    assert cut_text(model, "我喜欢吃苹果", tokens, side, "input") == (kept, cut)  # type: ignore[arg-type]


def test_the_model_is_the_upper_limit(models: FixedModels) -> None:
    model = models.served["sentiment"]
    for side in ("left", "right"):
        text, cut = cut_text(model, "好" * 500, 400, side, "input")  # type: ignore[arg-type]
        assert (len(text), cut) == (model.encoder.room, True)


def test_special_tokens_alone_are_no_text(models: FixedModels) -> None:
    with pytest.raises(ValidationFailed, match="truncate_prompt_tokens"):
        cut_text(models.served["sentiment"], "好", 2, "right", "input")
