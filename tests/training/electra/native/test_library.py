"""What is loaded is what the signatures say; where nothing can be, training hears why."""

from collections.abc import Iterator

import pytest

from training.electra.native import build, library
from training.electra.native.build import UnavailableError
from training.electra.native.library import load, usable


@pytest.fixture(autouse=True)
def anew() -> Iterator[None]:
    library._attempt.cache_clear()
    library._say.cache_clear()
    yield
    library._attempt.cache_clear()


def test_another_processor(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(library, "cpu_flags", lambda: library.NEEDED - {"amx_bf16"})
    with pytest.raises(UnavailableError, match="the processor has no amx_bf16") as caught:
        load()
    assert not caught.value.curable


def test_signatures_name_every_kernel() -> None:
    text = "".join(path.read_text(encoding="utf-8") for path in build.SOURCES.glob("*.cpp"))
    for name in library.SIGNATURES:
        assert f"void electra_{name}(" in text
    assert text.count("void electra_") == len(library.SIGNATURES)


@pytest.mark.parametrize("curable", [True, False])
def test_only_what_helps_is_said_and_once(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], curable: bool
) -> None:
    def fail() -> None:
        raise UnavailableError("there is no C++ compiler; install g++", curable)

    monkeypatch.setattr(library, "_found", fail)
    assert not usable(speak=False)
    assert capsys.readouterr().out == "", "another process speaks"
    assert not usable()
    assert ("install g++" in capsys.readouterr().out) is curable
    assert not usable()
    assert capsys.readouterr().out == ""
