import numpy as np
import pytest

from app.bundle import BundleError
from app.bundle_files import file_entry, read_bundle, write_manifest
from app.tasks.model import load_encoder, load_statistics, served_model
from tests.toy import HIDDEN, toy_bundle


@pytest.fixture
def root(tmp_path):
    return toy_bundle(tmp_path, "encoder")


def with_statistics(root, **arrays):
    np.savez(root / "pooling.npz", **arrays)
    manifest = read_bundle(root).manifest
    pooling = manifest.pooling.model_copy(update={"statistics": file_entry(root, "pooling.npz")})
    write_manifest(root, manifest.model_copy(update={"pooling": pooling}))
    return read_bundle(root)


def test_a_model_knows_what_it_is(root):
    model = served_model(read_bundle(root), engine=None)
    assert (model.name, model.version, model.has_generator) == ("encoder", "1", True)
    assert model.statistics is None
    assert model.encoder.max_tokens == model.bundle.manifest.max_tokens


def test_statistics_are_read_as_written(root):
    mean, whitening = np.arange(HIDDEN, dtype=np.float32), np.eye(HIDDEN, 4, dtype=np.float32)
    statistics = load_statistics(with_statistics(root, mean=mean, whitening=whitening))
    assert (statistics.mean == mean).all()
    assert (statistics.whitening == whitening).all()


@pytest.mark.parametrize(
    ("arrays", "problem"),
    [
        ({"mean": np.zeros(HIDDEN)}, "cannot be read as pooling statistics"),
        ({"mean": np.zeros(3), "whitening": np.eye(HIDDEN)}, "for hidden size"),
        ({"mean": np.zeros(HIDDEN), "whitening": np.eye(3)}, "for hidden size"),
        ({"mean": np.array([object()]), "whitening": np.eye(HIDDEN)}, "cannot be read as pooling statistics"),
    ],
)
def test_statistics_that_do_not_fit_are_refused(root, arrays, problem):
    with pytest.raises(BundleError, match=problem) as caught:
        load_statistics(with_statistics(root, **arrays))
    assert "export the bundle again" in str(caught.value)


def test_a_tokenizer_with_ids_beyond_the_graph_is_refused(root):
    manifest = read_bundle(root).manifest
    write_manifest(root, manifest.model_copy(update={"vocab_size": manifest.vocab_size - 1}))
    with pytest.raises(BundleError, match=r"tokenizer.json: has \d+ entries, the graph takes ids below \d+"):
        load_encoder(read_bundle(root))


def test_special_tokens_that_disagree_are_one_line_with_the_cure(root):
    manifest = read_bundle(root).manifest
    tokens = manifest.special_tokens.model_copy(update={"mask": 9})
    write_manifest(root, manifest.model_copy(update={"special_tokens": tokens}))
    with pytest.raises(BundleError) as caught:
        load_encoder(read_bundle(root))
    assert str(caught.value).count(str(root)) == 1
    assert str(caught.value).endswith("export the bundle again")
