"""Key rings: fixed keys, key files that change, and what is presented."""

import os
from pathlib import Path

import pytest

from app.api.keys import KeyRing, fingerprint, presented_key
from app.settings import SettingsError


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_an_empty_ring_leaves_the_door_open() -> None:
    assert not KeyRing().enforced


def test_only_whole_keys_fit() -> None:
    ring = KeyRing(["alpha", "beta"])
    assert ring.enforced
    assert ring.accepts(b"alpha")
    assert ring.accepts(b"beta")
    for wrong in (b"", b"alph", b"alphaa", b"Alpha", b"alpha,beta", "ключ".encode()):
        assert not ring.accepts(wrong)


def test_every_key_is_compared_whichever_fits(monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[bytes] = []

    def compare(one: bytes, other: bytes) -> bool:
        compared.append(other)
        return one == other

    monkeypatch.setattr("app.api.keys.hmac.compare_digest", compare)
    ring = KeyRing(["a", "b", "c"])
    assert ring.accepts(b"a")
    assert len(compared) == 3


def test_a_key_file_is_read_again_when_it_changes(tmp_path: Path) -> None:
    file = tmp_path / "keys"
    file.write_text("# friends\nold-key\n\n", encoding="utf-8")
    clock = Clock()
    ring = KeyRing(file=file, clock=clock)
    assert ring.accepts(b"old-key")
    assert not ring.accepts(b"# friends")
    file.write_text("new-key\n", encoding="utf-8")
    os.utime(file, ns=(1, 1))
    clock.now = 2.0
    assert ring.accepts(b"new-key")
    assert not ring.accepts(b"old-key")


def test_a_byte_order_mark_is_no_part_of_the_first_key(tmp_path: Path) -> None:
    file = tmp_path / "keys"
    file.write_bytes(b"\xef\xbb\xbffirst\r\nsecond\r\n")
    ring = KeyRing(file=file)
    assert ring.accepts(b"first")
    assert ring.accepts(b"second")


def test_a_key_file_is_read_again_when_only_its_size_tells(tmp_path: Path) -> None:
    """As after two changes within one tick of the disk's clock."""
    file = tmp_path / "keys"
    file.write_text("stolen\nkept\n", encoding="utf-8")
    os.utime(file, ns=(1, 1))
    clock = Clock()
    ring = KeyRing(file=file, clock=clock)
    clock.now = 2.0
    assert ring.accepts(b"stolen")
    file.write_text("kept\n", encoding="utf-8")
    os.utime(file, ns=(1, 1))
    clock.now = 2.5
    assert ring.accepts(b"stolen"), "it is looked at once a second"
    clock.now = 4.0
    assert not ring.accepts(b"stolen")
    assert ring.accepts(b"kept")


@pytest.mark.parametrize("damage", ["empty", "gone", "binary"])
def test_a_damaged_key_file_keeps_the_keys_from_before(tmp_path: Path, damage: str) -> None:
    file = tmp_path / "keys"
    file.write_text("key\n", encoding="utf-8")
    clock = Clock()
    ring = KeyRing(file=file, clock=clock)
    if damage == "gone":
        file.unlink()
    else:
        file.write_bytes(b"" if damage == "empty" else b"\xff\xfe")
    clock.now = 2.0
    assert ring.enforced
    assert ring.accepts(b"key")
    assert not ring.accepts(b"")


def test_a_file_without_keys_is_refused_at_start(tmp_path: Path) -> None:
    (tmp_path / "keys").write_text("# none yet\n", encoding="utf-8")
    with pytest.raises(SettingsError, match="holds no key"):
        KeyRing(file=tmp_path / "keys")
    with pytest.raises(SettingsError, match="cannot be read"):
        KeyRing(file=tmp_path / "missing")


@pytest.mark.parametrize(
    ("headers", "key"),
    [
        ([(b"authorization", b"Bearer abc")], b"abc"),
        ([(b"authorization", b"bearer abc ")], b"abc"),
        ([(b"x-api-key", b"abc")], b"abc"),
        ([(b"authorization", b"Basic abc")], None),
        ([(b"x-api-key", b" ")], None),
        ([(b"authorization", b"Bearer ")], None),
        ([], None),
    ],
)
def test_where_a_key_is_looked_for(headers: list[tuple[bytes, bytes]], key: bytes | None) -> None:
    assert presented_key(headers) == key


def test_a_fingerprint_is_short_and_steady() -> None:
    assert fingerprint("abc") == "ba7816bf"
