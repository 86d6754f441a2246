import keras
import numpy as np
import pytest

from keras_retinanet import models
from keras_retinanet.models.preactivated_resnet import features
from tests.data import old_snapshots


def test_old_snapshot_fits_the_network_of_the_table(old_file):
    old = models.load_model(old_file("seresnet18"))
    new = models.backbone("seresnet18").retinanet(num_classes=2)
    report = models.load_weights(new, old_file("seresnet18"))
    assert (report.missing, report.mismatched, report.unexpected) == ([], [], [])
    image = old_snapshots.images()
    for found, expected in zip(
        new.predict_on_batch(image), old.predict_on_batch(image), strict=True
    ):
        np.testing.assert_allclose(found, expected, atol=1e-4 * np.ptp(expected))


@pytest.mark.parametrize(
    ("name", "parameters"), [("resnet18", 11_186_889), ("resnet34", 21_302_473)]
)
def test_parameters_are_those_of_image_classifiers(name, parameters):
    # ResNet18(include_top=False, weights=None).count_params() of that package.
    assert features(name, keras.Input((None, None, 3))).count_params() == parameters


def test_strides_and_channels():
    model = features("resnet18", keras.Input((None, None, 3)))
    assert [tuple(shape[1:]) for shape in model.compute_output_shape((1, 65, 97, 3))] == [
        (17, 25, 64),
        (9, 13, 128),
        (5, 7, 256),
        (3, 4, 512),
    ]
