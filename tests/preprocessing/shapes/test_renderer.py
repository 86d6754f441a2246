import numpy as np
import pytest

from keras_retinanet.preprocessing.shapes import ShapesGenerator, renderer
from keras_retinanet.preprocessing.shapes.scene import CLASS_NAMES, make_shape

PICTURE = (128, 120)


@pytest.mark.parametrize("name", CLASS_NAMES)
def test_painted_shape_stands_out_and_stays_in_its_place(name):
    shape = make_shape(CLASS_NAMES.index(name), (60.0, 60.0), (50.0, 36.0), 0.7, PICTURE)
    x1, y1, x2, y2 = shape.box
    reach = 2 * renderer.SHADOW_REACH
    for seed in range(20):
        canvas = np.full((120, 128, 3), 120.0, np.float32)
        painted = renderer._paint_shape(canvas, shape, np.random.default_rng(seed))
        difference = np.linalg.norm(painted - 120.0, axis=2)
        assert difference[shape.mask == 255].mean() > 25
        difference[y1 - reach : y2 + reach, x1 - reach : x2 + reach] = 0
        assert not difference.any()
        assert (canvas == 120.0).all()


def test_pictures_are_neither_flat_nor_clipped():
    generator = ShapesGenerator("val", size=40)
    pictures = [generator.load_image(i) for i in range(40)]
    assert min(picture.std() for picture in pictures) > 8
    saturated = [np.isin(picture, [0, 255]).mean() for picture in pictures]
    assert np.mean(saturated) < 0.15
