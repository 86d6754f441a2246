import inspect

import pytest

from keras_retinanet.batches.dataset import DetectionDataset
from keras_retinanet.preprocessing.generator import Generator

METHODS = (
    *("size", "num_classes", "has_label", "has_name", "name_to_label", "label_to_name"),
    *("image_aspect_ratio", "image_path", "load_image", "load_annotations"),
)


def test_a_data_set_has_these_methods_and_no_others():
    found = {name for name in vars(DetectionDataset) if not name.startswith("_")}
    assert found == set(METHODS)


@pytest.mark.parametrize("name", METHODS)
def test_a_generator_has_the_method_with_the_same_signature(name):
    own, expected = (getattr(cls, name) for cls in (Generator, DetectionDataset))
    assert inspect.signature(own) == inspect.signature(expected)
    assert inspect.getdoc(own) == inspect.getdoc(expected)
