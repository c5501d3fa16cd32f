"""States follow their order, and death is told once."""

import pytest

from app.api.lifecycle import Lifecycle, State
from app.errors import EngineDead, NotReady


def test_the_usual_life() -> None:
    seen: list[bool] = []
    lifecycle = Lifecycle(seen.append)
    with pytest.raises(NotReady):
        lifecycle.check_serving()
    lifecycle.to_ready()
    lifecycle.check_serving()
    lifecycle.waits_for("nothing any more")
    assert (lifecycle.ready, lifecycle.reason) == (True, "")
    lifecycle.to_draining()
    lifecycle.check_serving()
    assert not lifecycle.ready
    assert lifecycle.alive
    assert seen == [False, True, False]


def test_without_a_model_it_waits_for_one() -> None:
    seen: list[bool] = []
    lifecycle = Lifecycle(seen.append)
    lifecycle.set_served(False)
    assert lifecycle.reason == "models are being loaded"
    lifecycle.waits_for("a default model")
    assert lifecycle.reason == "a default model"
    lifecycle.to_ready()
    assert (lifecycle.ready, lifecycle.status, lifecycle.reason) == (False, "starting", "no model is served")
    lifecycle.set_served(True)
    assert (lifecycle.ready, lifecycle.status, lifecycle.reason) == (True, "ready", "")
    lifecycle.set_served(False)
    assert not lifecycle.ready
    lifecycle.to_draining()
    lifecycle.set_served(True)
    assert (lifecycle.ready, lifecycle.status) == (False, "draining")
    assert seen == [False, False, True, False, False], "told at every change"


def test_draining_while_starting_never_becomes_ready() -> None:
    lifecycle = Lifecycle()
    lifecycle.to_draining()
    lifecycle.to_ready()
    assert lifecycle.state is State.DRAINING
    assert not lifecycle.was_ready


def test_death_is_final_and_told_once() -> None:
    seen: list[bool] = []
    lifecycle = Lifecycle(seen.append)
    told: list[str] = []
    lifecycle.on_death(told.append)
    lifecycle.to_ready()
    lifecycle.to_dead("first")
    lifecycle.to_dead("second")
    lifecycle.to_draining()
    lifecycle.to_ready()
    assert lifecycle.state is State.DEAD
    assert told == ["first"]
    assert seen == [False, True, False], "the gauge does not stay at ready"
    lifecycle.on_death(told.append)
    assert told == ["first", "first"], "who asks late is told at once"
    with pytest.raises(EngineDead, match="first"):
        lifecycle.check_serving()
