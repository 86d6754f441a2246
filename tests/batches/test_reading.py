import gc
import weakref

import numpy as np
import pytest

from tests.preprocessing.test_generator import Blocks


def test_invalid_boxes_are_dropped_with_a_warning():
    generator = Blocks()
    boxes = np.array([[1.0, 1, 5, 5], [5, 5, 5, 9], [-1, 0, 4, 4], [0, 0, 65, 4]])
    annotations = {"labels": np.arange(4), "bboxes": boxes}
    with pytest.warns(UserWarning, match="Image block0 with id 0 .* invalid boxes"):
        _, (kept,) = generator.filter_annotations([generator.load_image(0)], [annotations], [0])
    assert kept["labels"].tolist() == [0]
    assert len(annotations["bboxes"]) == 4


def test_an_unreadable_image_is_named_counted_and_replaced():
    generator = Blocks(broken=[2], batch_size=5, group_method="none", shuffle_groups=False)
    with pytest.warns(UserWarning, match="skipped an image that cannot be read: block2: cut off"):
        images, _ = generator.batch(0, 0)
    assert len(images) == 5
    generator.batch(1, 0)
    assert generator.skipped == {"block2": 2}
    assert not generator.strict
    with pytest.raises(ValueError, match="block2: cut off"):
        Blocks(broken=[2], strict=True).sample(2, 0)


@pytest.mark.filterwarnings("ignore:skipped")
def test_no_readable_image_at_all():
    with pytest.raises(ValueError, match="none of the 5 images can be read"):
        Blocks(broken=range(5)).sample(0, 0)


def test_an_unknown_cache_is_refused():
    with pytest.raises(ValueError, match="expected cache 'none', 'ram' or 'disk', got 'gpu'"):
        Blocks(cache="gpu")


@pytest.mark.filterwarnings("ignore:skipped")
def test_methods_of_a_subclass_load_what_replaces_an_image():
    class Bright(Blocks):
        """Overrides a method of keras-retinanet 1.0.0."""

        def load_image_group(self, group):
            return [image // 2 for image in super().load_image_group(group)]

    image, annotations = Bright(broken=[2]).sample(2, 0)
    assert image.max() == 127
    assert annotations["labels"].tolist() == [1]  # of image 3


def test_the_reader_keeps_no_reference_to_its_data_set():
    generator = Blocks(cache="ram")
    generator.load_image_group([0])
    gone = weakref.ref(generator)
    gc.disable()
    try:
        del generator
        assert gone() is None
    finally:
        gc.enable()
