import pytest

from keras_retinanet.detection.class_names import shown_names
from keras_retinanet.models import ModelInfo


@pytest.mark.parametrize(
    ("count", "told", "label", "name"),
    [
        (80, "COCO's 80 classes", 56, "chair"),
        (91, "COCO's 80 classes", 62, "chair"),
        (500, "Open Images' 500 classes", 77, "Chair"),
        (601, "Open Images' 601 classes", 96, "Chair"),
    ],
)
def test_names_are_assumed_by_the_number_of_outputs(count, told, label, name):
    with pytest.warns(UserWarning) as warned:
        names = shown_names(ModelInfo("resnet50", count))
    assert len(names) == count
    assert names[label] == name
    (warning,) = warned
    assert str(warning.message) == f"the names of {told} are assumed (the file has none)"


def test_a_model_keeps_its_own_names():
    own = tuple(f"class {label}" for label in range(80))
    assert shown_names(ModelInfo("resnet50", 80, own)) == own
    assert shown_names(ModelInfo("resnet50", 80, (None,) * 80)) == (None,) * 80


def test_no_names_for_another_number_of_outputs():
    assert shown_names(ModelInfo("resnet50", 20)) is None
    assert shown_names(None) is None
