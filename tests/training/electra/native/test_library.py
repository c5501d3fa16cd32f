"""Compiled once for a machine; where that cannot be, a reason that says what to do."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.training.electra.native.available import needs_kernels
from training.electra.native import library
from training.electra.native.library import UnavailableError, load


@pytest.fixture(autouse=True)
def anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    load.cache_clear()
    yield
    load.cache_clear()


@pytest.fixture
def able(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(library, "cpu_flags", lambda: library._NEEDED)


@needs_kernels
def test_compiled_once(tmp_path: Path) -> None:
    load()
    (made,) = (tmp_path / "electra-platform").iterdir()
    before = made.stat()
    load.cache_clear()
    load()
    assert list((tmp_path / "electra-platform").iterdir()) == [made]
    assert (made.stat().st_mtime_ns, made.stat().st_ino) == (before.st_mtime_ns, before.st_ino)


@needs_kernels
def test_compiled_where_no_cache_can_be(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert load().electra_linear is not None


def test_another_processor(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(library, "cpu_flags", lambda: library._NEEDED - {"amx_bf16"})
    with pytest.raises(UnavailableError, match="the processor has no amx_bf16") as caught:
        load()
    assert not caught.value.curable


@pytest.mark.usefixtures("able")
def test_no_compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CXX", raising=False)
    monkeypatch.setattr(shutil, "which", lambda _: None)
    with pytest.raises(UnavailableError, match=r"install g\+\+") as caught:
        load()
    assert caught.value.curable


@pytest.mark.usefixtures("able")
@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("echo 'tiles.hpp:3: error: what is this' >&2; exit 1", "error: what is this"),
        ("exit 1", "could not compile"),
        ('while [ "$1" != -o ]; do shift; done; echo nothing > "$2"', "cannot be loaded"),
    ],
)
def test_a_compiler_that_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, said: str
) -> None:
    compiler = tmp_path / "c++"
    compiler.write_text(f"#!/bin/sh\n{script}\n")
    compiler.chmod(0o755)
    monkeypatch.setenv("CXX", str(compiler))
    with pytest.raises(UnavailableError, match=said) as caught:
        load()
    assert caught.value.curable


@pytest.mark.usefixtures("able")
def test_a_compiler_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CXX", "no-such-compiler")
    with pytest.raises(UnavailableError, match="no-such-compiler"):
        load()


def test_signatures_name_every_kernel() -> None:
    text = "".join(path.read_text(encoding="utf-8") for path in library._SOURCES.glob("*.cpp"))
    for name in library._SIGNATURES:
        assert f"void {name}(" in text
    assert text.count("void electra_") == len(library._SIGNATURES)


@needs_kernels
def test_compiled_beforehand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    load()
    (made,) = (tmp_path / "electra-platform").iterdir()
    prebuilt = made.rename(tmp_path / "kernels.so")
    monkeypatch.setattr(library, "_PREBUILT", prebuilt)
    load.cache_clear()
    assert load().electra_linear is not None
    assert not list((tmp_path / "electra-platform").iterdir()), "nothing was compiled"
    damaged = tmp_path / "damaged.so"
    damaged.write_bytes(b"nothing")
    monkeypatch.setattr(library, "_PREBUILT", damaged)
    load.cache_clear()
    with pytest.raises(UnavailableError, match="cannot be loaded"):
        load()
    assert damaged.exists(), "it is not ours to delete"
