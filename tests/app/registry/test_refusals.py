"""What was refused is tried again when there is reason to, and not before."""

from __future__ import annotations

from app.registry.refusals import FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS, Refusals
from app.registry.repository import Found

KEY = ("encoder", "2")


def test_a_fault_of_the_bundle_waits_for_its_files_to_change() -> None:
    refusals = Refusals(clock=lambda: 1e9)
    assert refusals.worth_trying(KEY, "any")
    refusals.add(KEY, "is damaged", "mark")
    assert not refusals.worth_trying(KEY, "mark")
    assert refusals.worth_trying(KEY, "another")
    refusals.remove(KEY)
    assert refusals.worth_trying(KEY, "mark")


def test_another_fault_is_tried_again_after_pauses_that_double() -> None:
    now = 0.0
    refusals = Refusals(clock=lambda: now)
    refusals.add(KEY, "no memory", None)
    now = FIRST_PAUSE_SECONDS - 1
    assert not refusals.worth_trying(KEY, "mark")
    now = FIRST_PAUSE_SECONDS
    assert refusals.worth_trying(KEY, "mark")
    refusals.add(KEY, "no memory", None)
    now += 2 * FIRST_PAUSE_SECONDS - 1
    assert not refusals.worth_trying(KEY, "mark"), "the second pause is twice the first"
    now += 1
    assert refusals.worth_trying(KEY, "mark")
    for _ in range(20):
        refusals.add(KEY, "no memory", None)
    now += LONGEST_PAUSE_SECONDS - 1
    assert not refusals.worth_trying(KEY, "mark")
    now += 1
    assert refusals.worth_trying(KEY, "mark")


def test_what_is_gone_is_forgotten_and_what_cannot_be_read_is_news_once() -> None:
    refusals = Refusals()
    refusals.add(KEY, "is damaged", "mark")
    refusals.add(("encoder", "10"), "is damaged too", "mark")
    found = Found({"encoder": ["10"]}, {KEY: "cannot be read", ("topic", ""): "cannot be read"})
    assert set(refusals.look(found)) == {KEY, ("topic", "")}
    assert refusals.look(found) == {}
    assert refusals.keys() == [("encoder", "10")]
    assert list(refusals.reasons()) == [("encoder", "10"), KEY, ("topic", "")]
    assert refusals.reason_of("encoder") == "is damaged too"
    assert refusals.reason_of("nobody") is None
    assert refusals.look(Found()) == {}
    assert refusals.reasons() == {}
