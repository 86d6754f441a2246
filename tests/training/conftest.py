import pytest

from keras_retinanet import models
from keras_retinanet.preprocessing.data import CSVData
from keras_retinanet.training.plan import TrainingPlan
from tests import tiny


@pytest.fixture
def plan(tmp_path, monkeypatch):
    """A plan for four images with a bright square each, also to evaluate on."""
    monkeypatch.setitem(models.BACKBONES, tiny.NAME, tiny.ENTRY)
    tiny.train_eagerly(monkeypatch)
    annotations, classes = tiny.write_squares(tmp_path)
    return TrainingPlan(
        data=CSVData(annotations, classes, annotations),
        backbone="tiny",
        imagenet_weights=False,
        feature_size=8,
        image_min_side=64,
        image_max_side=96,
        snapshot_path=str(tmp_path / "out"),
    )
