"""What is refused of a bundle on disk, and with what words."""

import errno
import json
from pathlib import Path

import pytest

from app import bundle as b
from app.bundle_files import read_bundle
from tests.toy import toy_bundle


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return toy_bundle(tmp_path, "toy")


def edit(root: Path, change) -> None:
    path = root / b.MANIFEST_NAME
    raw = json.loads(path.read_text(encoding="utf-8"))
    change(raw)
    path.write_text(json.dumps(raw), encoding="utf-8")


def test_a_whole_bundle_is_read(root: Path) -> None:
    bundle = read_bundle(root)
    assert bundle.manifest.task == "encode"
    assert bundle.graph_file() == root / "model.onnx"
    assert bundle.tokenizer_file.is_file()
    assert {entry.path for entry in bundle.manifest.files()} == {
        "model.onnx",
        "generator.onnx",
        "tokenizer.json",
        "README.md",
    }


@pytest.mark.parametrize("name", ["model.onnx", "generator.onnx", "tokenizer.json", "README.md"])
def test_one_changed_byte_is_found(root: Path, name: str) -> None:
    data = bytearray((root / name).read_bytes())
    data[len(data) // 2] ^= 1
    (root / name).write_bytes(data)
    with pytest.raises(
        b.BundleError, match=rf"{name}: differs from its checksum.*copy the whole bundle again"
    ):
        read_bundle(root)
    assert read_bundle(root, verify=False)


def test_a_missing_or_cut_file_is_named(root: Path) -> None:
    (root / "model.onnx").write_bytes(b"short")
    with pytest.raises(b.BundleError, match=r"model\.onnx: has 5 bytes"):
        read_bundle(root)
    (root / "model.onnx").unlink()
    with pytest.raises(b.BundleError, match=r"model\.onnx: is missing"):
        read_bundle(root)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda raw: raw.update(surprise=1), "key surprise"),
        (lambda raw: raw.update(schema_version=2), "key schema_version"),
        (lambda raw: raw.pop("calibration"), "needs calibration and pooling"),
        (lambda raw: raw["graphs"].pop("model"), r"graphs\.model is missing"),
        (lambda raw: raw.update(name="other"), "says other/1 but stands in toy/1"),
        (lambda raw: raw["tokenizer"].update(path="../../etc/passwd"), "leaves the bundle"),
        (lambda raw: raw["graphs"]["model"].update(default_precision="int8"), "has no file"),
        (lambda raw: raw["calibration"].update(temperature=0), r"key calibration\.temperature"),
    ],
)
def test_a_wrong_manifest_is_refused_with_its_key(root: Path, change, message: str) -> None:
    edit(root, change)
    with pytest.raises(b.BundleError, match=message):
        read_bundle(root)


def test_a_device_that_fails_says_nothing_of_the_bundle(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(*_: object, **__: object) -> str:
        raise OSError(number, "failed", str(root))

    monkeypatch.setattr(Path, "read_text", failing)
    number = errno.EIO
    with pytest.raises(OSError, match="failed"):
        read_bundle(root)
    number = errno.EACCES
    with pytest.raises(b.BundleError, match="cannot be read"):
        read_bundle(root)


def test_a_file_that_may_not_be_read_is_the_bundles_fault(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So it is tried again when its rights change, and not some time later."""
    monkeypatch.setattr("app.bundle_files.os.access", lambda path, mode: Path(path).name != "model.onnx")
    with pytest.raises(
        b.BundleError, match=r"model\.onnx: cannot be read .*; let the service's user read it"
    ):
        read_bundle(root)


def test_no_manifest_is_no_bundle(root: Path) -> None:
    for text in ("{", "[" * 200_000, f'{{"a": {"1" * 6000}}}'):
        (root / b.MANIFEST_NAME).write_text(text, encoding="utf-8")
        with pytest.raises(b.BundleError, match="cannot be read"):
            read_bundle(root)
    (root / b.MANIFEST_NAME).unlink()
    with pytest.raises(b.BundleError, match="is missing"):
        read_bundle(root)


def test_labels_of_a_classifier(tmp_path: Path) -> None:
    root = toy_bundle(tmp_path, "c", task="classify")
    edit(root, lambda raw: raw.update(labels=["one", "one"]))
    with pytest.raises(b.BundleError, match="two or more distinct names"):
        read_bundle(root)
