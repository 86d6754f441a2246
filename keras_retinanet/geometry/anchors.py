"""Anchors: the boxes at every place of the pyramid that the network refines."""

from functools import lru_cache
from weakref import WeakValueDictionary

import numpy as np

from keras_retinanet.geometry import boxes
from keras_retinanet.geometry.anchor_index import Grid

DEFAULT_LEVELS = (3, 4, 5, 6, 7)


class AnchorParameters:
    """The sizes and shapes of the anchors of each pyramid level.

    Attributes:
        sizes: side in pixels of a square anchor of scale 1, one for each level.
        strides: pixels from one anchor centre to the next, one for each level.
        ratios: heights over widths of the anchors at one place.
        scales: factors on the level's size of the anchors at one place.
    """

    default: "AnchorParameters"

    def __init__(self, sizes, strides, ratios, scales):
        """Keep the four lists; `ratios` and `scales` as float32 arrays."""
        self.sizes = list(sizes)
        self.strides = list(strides)
        self.ratios = np.asarray(ratios, "float32")
        self.scales = np.asarray(scales, "float32")

    def num_anchors(self) -> int:
        """Return the number of anchors at one place of a level."""
        return len(self.ratios) * len(self.scales)

    def to_dict(self) -> dict:
        """Return the parameters as lists of plain numbers, for JSON."""
        return {
            "sizes": [float(size) for size in self.sizes],
            "strides": [int(stride) for stride in self.strides],
            "ratios": self.ratios.tolist(),
            "scales": self.scales.tolist(),
        }

    @classmethod
    def from_dict(cls, values: dict) -> "AnchorParameters":
        """Return the parameters that `to_dict` described."""
        return cls(**values)

    def __eq__(self, other) -> bool:
        return isinstance(other, AnchorParameters) and self.to_dict() == other.to_dict()

    def __hash__(self) -> int:
        return hash(tuple(map(tuple, self.to_dict().values())))

    def __repr__(self) -> str:
        return f"AnchorParameters({self.to_dict()})"


# Section 4 of the focal loss paper: areas of 32^2 to 512^2 pixels on P3 to P7, three shapes, and
# three sizes an octave.
AnchorParameters.default = AnchorParameters(
    sizes=[32, 64, 128, 256, 512],
    strides=[8, 16, 32, 64, 128],
    ratios=[0.5, 1, 2],
    scales=[2**0, 2 ** (1 / 3), 2 ** (2 / 3)],
)


def generate_anchors(base_size=16, ratios=None, scales=None):
    """Return the anchors of one place, centred on the origin.

    Args:
        base_size: side in pixels of the square anchor of scale 1.
        ratios: heights over widths; None means 1:2, 1:1, 2:1.
        scales: factors on `base_size`; None means three steps of a third of an octave.

    Returns:
        Float array `(len(ratios) * len(scales), 4)`: all scales of the first ratio come first.
    """
    ratios = AnchorParameters.default.ratios if ratios is None else np.asarray(ratios)
    scales = AnchorParameters.default.scales if scales is None else np.asarray(scales)
    sides = np.tile(base_size * scales, len(ratios)).astype("float64")
    ratios = np.repeat(ratios, len(scales))
    widths = np.sqrt(sides * sides / ratios)
    heights = widths * ratios
    return np.stack([-widths, -heights, widths, heights], axis=1) / 2


def guess_shapes(image_shape, pyramid_levels):
    """Return rows and columns of each pyramid level for an image shape `(height, width, ...)`.

    Every stride-2 layer of the networks here rounds up, so level p has `ceil(side / 2**p)` cells.
    """
    steps = 2 ** np.array(pyramid_levels)[:, None]
    return list((np.array(image_shape[:2]) + steps - 1) // steps)


def layer_shapes(image_shape, model) -> dict:
    """Return the output shape of every layer of a model for an image shape `(height, width, 3)`.

    Returns:
        Dictionary of layer name -> shape with a leading None for the batch; without the heads.
    """
    import keras

    # A model that stands as a layer, such as a head, runs on several levels: it has no one output.
    outputs = {
        layer.name: layer.output for layer in model.layers if not isinstance(layer, keras.Model)
    }
    probe = keras.Model(model.inputs, outputs)
    shapes = probe.compute_output_shape((None, *image_shape))
    return {name: tuple(shape) for name, shape in shapes.items()}


def make_shapes_callback(model):
    """Return a replacement for `guess_shapes` that asks the model's own layers P2..P7."""

    @lru_cache(maxsize=256)
    def shapes_of(image_shape):
        return layer_shapes(image_shape, model)

    def get_shapes(image_shape, pyramid_levels):
        shapes = shapes_of(tuple(int(side) for side in image_shape))
        return [shapes[f"P{level}"][1:3] for level in pyramid_levels]

    return get_shapes


def matches_default_shapes(model, pyramid_levels) -> bool:
    """Return whether `guess_shapes` is right for a model.

    Backbones of keras-retinanet 1.0.0 other than ResNet round down where a stride does not divide
    a side; the snapshots that it wrote of them still do.
    """
    odd = (333, 501, 3)
    shapes = make_shapes_callback(model)(odd, pyramid_levels)
    return [tuple(shape) for shape in shapes] == [
        tuple(shape) for shape in guess_shapes(odd, pyramid_levels)
    ]


def anchors_for_shape(
    image_shape, pyramid_levels=None, anchor_params=None, shapes_callback=None
) -> np.ndarray:
    """Return all anchors of an image.

    Args:
        image_shape: `(height, width, ...)` of the padded image.
        pyramid_levels: levels in use; None means 3 to 7.
        anchor_params: an `AnchorParameters`; None means the paper's.
        shapes_callback: function of image shape and levels that returns each level's rows and
            columns; None means `guess_shapes`.

    Returns:
        Read-only float64 array `(N, 4)`: level by level, row by row, column by column.

    Raises:
        ValueError: if there is not one size and stride for each level.
    """
    levels = tuple(DEFAULT_LEVELS if pyramid_levels is None else pyramid_levels)
    params = anchor_params or AnchorParameters.default
    if not len(levels) == len(params.sizes) == len(params.strides):
        raise ValueError(
            f"expected one anchor size and stride for each of the pyramid levels {levels}, "
            f"got sizes {params.sizes} and strides {params.strides}"
        )
    shapes = (shapes_callback or guess_shapes)(tuple(image_shape), levels)
    return _grid(tuple((int(rows), int(columns)) for rows, columns in shapes), params).anchors


def grid_of(anchors) -> Grid | None:
    """Return the grid of an array that `anchors_for_shape` made; None for any other array."""
    grid = _grids.get(id(anchors))
    # Who makes the array writeable may have moved anchors.
    return None if grid is None or anchors.flags.writeable else grid


# By the `id` of their anchors, which live as long as they do: in the cache below.
_grids = WeakValueDictionary()


@lru_cache(maxsize=64)
def _grid(shapes, params):
    """Return the anchors of feature maps of these shapes, computed once for each set of shapes."""
    levels = [
        boxes.shift(shape, stride, generate_anchors(size, params.ratios, params.scales)).reshape(
            *shape, params.num_anchors(), 4
        )
        for shape, size, stride in zip(shapes, params.sizes, params.strides, strict=True)
    ]
    grid = Grid(levels, params.strides)
    _grids[id(grid.anchors)] = grid
    return grid
