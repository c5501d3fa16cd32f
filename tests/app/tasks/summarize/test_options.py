"""The bundle's defaults, and what each refusal names."""

from __future__ import annotations

import pytest

from app.errors import ValidationFailed
from app.tasks.model import ServedModel
from app.tasks.summarize.options import Plan, SummarizeOptions, check_options


def test_the_bundle_fills_in_what_was_not_chosen(model: ServedModel) -> None:
    assert check_options(model, SummarizeOptions()) == Plan("kmeans", "mean")
    assert check_options(model, SummarizeOptions(method="lead", pooling="cls")) == Plan("lead", "cls")


@pytest.mark.parametrize(
    ("options", "field"),
    [
        (SummarizeOptions(num_sentences=1, max_chars=9), "max_chars"),
        (SummarizeOptions(ratio=float("nan")), "ratio"),
        (SummarizeOptions(ratio=1.01), "ratio"),
        (SummarizeOptions(num_sentences=0), "num_sentences"),
        (SummarizeOptions(diversity=float("inf")), "diversity"),
        (SummarizeOptions(method="scorer"), "method"),
    ],
)
def test_an_option_that_cannot_be_had_is_named(
    model: ServedModel, options: SummarizeOptions, field: str
) -> None:
    with pytest.raises(ValidationFailed) as caught:
        check_options(model, options)
    assert caught.value.problems[0].field == field
