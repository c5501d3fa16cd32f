"""Compiled once for a machine; where that cannot be, a reason that says what to do."""

import os
import platform
import re
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.training.electra.native.available import compiler, needs_kernels
from training.electra.native import build, library
from training.electra.native.build import UnavailableError
from training.electra.native.library import load


@pytest.fixture(autouse=True)
def anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    library._attempt.cache_clear()
    yield
    library._attempt.cache_clear()


@pytest.fixture
def able(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(library, "cpu_flags", lambda: library.NEEDED)


@needs_kernels
def test_compiled_once(tmp_path: Path) -> None:
    load()
    (made,) = (tmp_path / "electra-platform").iterdir()
    before = made.stat()
    library._attempt.cache_clear()
    load()
    assert list((tmp_path / "electra-platform").iterdir()) == [made]
    assert (made.stat().st_mtime_ns, made.stat().st_ino) == (before.st_mtime_ns, before.st_ino)


@needs_kernels
def test_compiled_where_no_cache_can_be(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    assert load().electra_linear is not None
    assert [path.name for path in tmp_path.iterdir()] == ["file"], "nothing is left behind"


@needs_kernels
def test_a_cache_of_somebody_else_is_not_trusted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    owner = os.getuid()
    monkeypatch.setattr(os, "getuid", lambda: owner + 1)
    (tmp_path / "electra-platform").mkdir()
    assert load().electra_linear is not None
    assert not list((tmp_path / "electra-platform").iterdir())


@needs_kernels
@pytest.mark.parametrize("mode", [0o777, 0o500])
def test_a_cache_that_all_may_write_to_or_that_none_may(tmp_path: Path, mode: int) -> None:
    directory = tmp_path / "electra-platform"
    directory.mkdir()
    directory.chmod(mode)
    assert load().electra_linear is not None
    if mode == 0o777:
        assert not list(directory.iterdir())


@needs_kernels
def test_a_damaged_file_in_the_cache_is_compiled_anew(tmp_path: Path) -> None:
    command = shlex.split(os.environ.get("CXX", "")) or build.find_compiler()
    (tmp_path / "electra-platform").mkdir(mode=0o700)
    damaged = tmp_path / "electra-platform" / f"kernels-{build.digest(*command)}.so"
    damaged.write_bytes(b"nothing")
    assert load().electra_linear is not None
    assert damaged.stat().st_size > 10_000


@needs_kernels
def test_nobody_has_a_home(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: Path) -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setattr(Path, "expanduser", fail)
    assert load().electra_linear is not None


@pytest.mark.skipif(platform.machine() != "x86_64" or compiler is None, reason="needs x86_64 and a compiler")
def test_it_compiles_where_it_cannot_run(tmp_path: Path) -> None:
    build.compile_kernels([str(compiler)], tmp_path / "kernels.so")
    assert (tmp_path / "kernels.so").stat().st_size > 10_000


def test_the_image_names_the_file_as_it_is_looked_for() -> None:
    text = Path("docker/train.Dockerfile").read_text(encoding="utf-8")
    (name,) = re.findall(r'-o "(kernels-.*\.so)"', text)
    made = subprocess.run(
        ["sh", "-c", f'LC_ALL=C; echo "{name}"'],
        cwd=build.SOURCES,
        capture_output=True,
        text=True,
        check=True,
    )
    assert made.stdout.strip() == f"kernels-{build.digest()}.so"


def test_a_compiler_with_arguments(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(library, "cpu_flags", lambda: library.NEEDED)
    monkeypatch.setenv("CXX", f"env FIRST=1 {tmp_path}/c++")
    (tmp_path / "c++").write_text('#!/bin/sh\necho "error: $FIRST" >&2; exit 1\n')
    (tmp_path / "c++").chmod(0o755)
    with pytest.raises(UnavailableError, match="error: 1"):
        load()


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
        ("echo 'Error: no such instruction' >&2; exit 1", "no such instruction"),
        ('while [ "$1" != -o ]; do shift; done; echo nothing > "$2"', "cannot be compiled and loaded"),
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
    compiler.unlink()
    with pytest.raises(UnavailableError, match=said):  # it is not asked again
        load()


@pytest.mark.usefixtures("able")
def test_a_compiler_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CXX", "no-such-compiler")
    with pytest.raises(UnavailableError, match="no-such-compiler"):
        load()


@needs_kernels
def test_compiled_beforehand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    load()
    (made,) = (tmp_path / "electra-platform").iterdir()
    prebuilt = tmp_path / f"kernels-{build.digest()}.so"
    made.rename(prebuilt)
    for path in build.SOURCES.iterdir():
        if path.is_file():
            (tmp_path / path.name).write_bytes(path.read_bytes())
    monkeypatch.setattr(build, "SOURCES", tmp_path)
    library._attempt.cache_clear()
    assert load().electra_linear is not None
    assert not list((tmp_path / "electra-platform").iterdir()), "nothing was compiled"
    (tmp_path / "linear.cpp").write_text("changed", encoding="utf-8")
    library._attempt.cache_clear()
    with pytest.raises(UnavailableError, match="could not compile"):
        load()
    damaged = tmp_path / f"kernels-{build.digest()}.so"
    damaged.write_bytes(b"nothing")
    library._attempt.cache_clear()
    with pytest.raises(UnavailableError, match="could not compile"):  # it goes on as if it were not there
        load()
    assert damaged.read_bytes() == b"nothing", "it is not ours to delete"
