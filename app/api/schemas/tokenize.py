"""``POST /tokenize``, as vLLM has it."""

from __future__ import annotations

from pydantic import BaseModel, Field

from app.api.schemas.common import Request, example


class TokenizeRequest(Request):
    """A text to turn into token ids."""

    model_config = example({"prompt": "我喜欢吃苹果。", "return_token_strs": True})

    prompt: str = Field(description="The text.", examples=["我喜欢吃苹果。"])
    model: str | None = Field(None, description="Whose tokenizer; the default classifier's when left out.")
    add_special_tokens: bool = Field(True, description="Put `[CLS]` before and `[SEP]` after the text.")
    return_token_strs: bool = Field(False, description="Give the vocabulary's words for the ids too.")


class TokenizeResponse(BaseModel):
    """Token ids of one text."""

    count: int = Field(description="How many ids there are.")
    max_model_len: int = Field(description="How many the model takes at once.")
    tokens: list[int] = Field(description="The ids.")
    offsets: list[list[int]] = Field(
        description="Where each stands in the text, half-open, in code points; `[0, 0]` for special tokens."
    )
    token_strs: list[str] | None = Field(description="The vocabulary's words; null unless asked for.")
