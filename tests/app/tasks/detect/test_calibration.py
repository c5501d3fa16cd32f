import numpy as np
import pytest

from app.bundle_files import read_bundle
from app.tasks.detect.calibration import replaced_probabilities, temperature_of
from app.tasks.model import served_model
from tests.toy import toy_bundle


@pytest.mark.parametrize("temperature", [0.5, 1.0, 3.0])
def test_probabilities_are_the_sigmoid_of_the_scaled_logits(temperature):
    logits = np.array([-30.0, -1.0, 0.0, 2.0, 30.0], np.float32)
    expected = 1 / (1 + np.exp(-logits.astype(np.float64) / temperature))
    np.testing.assert_allclose(replaced_probabilities(logits, temperature), expected, atol=1e-15)


def test_extreme_logits_stay_probabilities():
    assert replaced_probabilities(np.array([-1e30, 1e30], np.float32), 1.0).tolist() == [0.0, 1.0]


def test_the_temperature_is_the_bundles(tmp_path):
    model = served_model(read_bundle(toy_bundle(tmp_path, "encoder")), engine=None)
    model.bundle.manifest.calibration.temperature = 1.7
    assert temperature_of(model) == 1.7
