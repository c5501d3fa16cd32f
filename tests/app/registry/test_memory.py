"""Memory is given back where the C library can."""

import pytest

from app.registry.memory import trim_memory


def test_a_c_library_that_cannot_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    class Library:
        def __getattr__(self, name: str) -> object:
            raise AttributeError(name)

    asked: list[object] = []
    monkeypatch.setattr("app.registry.memory.ctypes.CDLL", lambda name: asked.append(name) or Library())
    trim_memory()
    assert asked == [None]
