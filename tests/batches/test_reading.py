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
    with pytest.raises(ValueError, match="block2: cut off"):
        Blocks(broken=[2], strict=True).sample(2, 0)


@pytest.mark.filterwarnings("ignore:skipped")
def test_no_readable_image_at_all():
    with pytest.raises(ValueError, match="none of the 5 images can be read"):
        Blocks(broken=range(5)).sample(0, 0)


def test_groups_are_made_of_single_images():
    shapes = [image.shape for image in Blocks().load_image_group([3, 0])]
    assert shapes == [(64, 128, 3), (64, 64, 3)]


def test_an_unknown_cache_is_refused():
    with pytest.raises(ValueError, match="expected cache 'none', 'ram' or 'disk', got 'gpu'"):
        Blocks(cache="gpu")
