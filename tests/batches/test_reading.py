import gc
import weakref
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from tests.preprocessing.test_generator import Blocks


def filtered(generator, annotations, index=0):
    """Return the annotations that training uses of an image."""
    (image,), (kept,) = generator.filter_annotations(
        [generator.load_image(index)], [annotations], [index]
    )
    assert image.shape == generator.load_image(index).shape
    return kept


def test_invalid_boxes_are_dropped_with_a_warning():
    generator = Blocks()
    boxes = np.array([[1.0, 1, 5, 5], [5, 5, 5, 9], [-2, 0, 4, 4], [0, 0, 66, 4]])
    annotations = {"labels": np.arange(4), "bboxes": boxes}
    with pytest.warns(UserWarning, match="Image block0 with id 0 .* invalid boxes"):
        kept = filtered(generator, annotations)
    assert kept["labels"].tolist() == [0]
    assert len(annotations["bboxes"]) == 4
    assert generator.dropped_in_training == {"block0": 3}
    assert generator.clipped == {}


def test_boxes_that_leave_by_up_to_a_pixel_are_clipped_and_counted_once():
    generator = Blocks()
    height, width = generator.load_image(0).shape[:2]
    boxes = [[-1, 0, 4, 4], [1, 1, 5, 5], [0, 0, width + 1, height + 0.5]]
    annotations = {"labels": [4, 5, 6], "bboxes": boxes, "names": ["a", "b", "c"]}
    with pytest.warns(UserWarning, match="^clipped boxes .* up to a pixel, the first in block0$"):
        kept = filtered(generator, annotations)
    assert kept["bboxes"].tolist() == [[0, 0, 4, 4], [1, 1, 5, 5], [0, 0, width, height]]
    assert list(kept["labels"]) == [4, 5, 6]
    assert list(kept["names"]) == ["a", "b", "c"]
    assert boxes[0] == [-1, 0, 4, 4]
    # Neither another image nor another epoch warns again: a warning would be an error.
    filtered(generator, annotations)
    filtered(generator, annotations, 1)
    assert generator.clipped == {"block0": 2, "block1": 2}
    assert generator.dropped_in_training == {}


@pytest.mark.filterwarnings("ignore:clipped", "ignore:Image block0")
def test_labels_and_other_keys_stay_with_their_boxes():
    generator = Blocks()
    boxes = [[-1, 0, 4, 4], [-2, 1, 5, 5], [3, 3, 9, 9]]
    kept = filtered(generator, {"labels": [4, 5, 6], "bboxes": boxes, "names": ["a", "b", "c"]})
    assert kept["bboxes"].tolist() == [[0, 0, 4, 4], [3, 3, 9, 9]]
    assert kept["labels"].tolist() == [4, 6]
    assert kept["names"].tolist() == ["a", "c"]
    assert (generator.clipped, generator.dropped_in_training) == ({"block0": 1}, {"block0": 1})


def test_threads_count_and_warn_once():
    generator = Blocks()
    annotations = {"labels": [0], "bboxes": [[-1, 0, 4, 4]]}
    with pytest.warns(UserWarning) as said, ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda i: filtered(generator, annotations, i % 5), range(50)))
    assert len(said) == 1
    assert generator.clipped == {f"block{i}": 1 for i in range(5)}


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
