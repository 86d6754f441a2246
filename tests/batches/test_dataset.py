import inspect

import pytest

from keras_retinanet.batches.dataset import ImageSet
from tests.preprocessing.test_generator import Blocks

ABSTRACT = (
    *("size", "num_classes", "has_label", "has_name", "name_to_label", "label_to_name"),
    *("image_aspect_ratio", "image_path", "load_image", "load_annotations"),
)


@pytest.mark.parametrize("name", ABSTRACT)
def test_what_a_subclass_lacks_is_named(name):
    method = getattr(ImageSet(), name)
    arguments = [0] * len(inspect.signature(method).parameters)
    with pytest.raises(NotImplementedError, match=f"^{name} method not implemented$"):
        method(*arguments)


def test_groups_are_made_of_single_images():
    labels = [a["labels"].tolist() for a in Blocks().load_annotations_group([1, 2])]
    assert labels == [[1], [0]]


def test_a_label_not_in_use_has_no_name():
    class Gap(Blocks):
        """Label 0 is missing."""

        def has_label(self, label):
            return label == 1

    assert Gap().class_names() == [None, "odd"]
