"""Anchors: the boxes around each location of the pyramid that the network refines."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from keras_retinanet.geometry import boxes
from keras_retinanet.geometry.anchor_index import AnchorIndex
from keras_retinanet.system.messages import shorten

if TYPE_CHECKING:
    import keras

DEFAULT_LEVELS = (3, 4, 5, 6, 7)

# A function of an image shape and pyramid levels that returns each level's rows and columns.
ShapesCallback = Callable[[tuple[int, ...], Sequence[int]], Iterable[Iterable[int]]]


@dataclass(frozen=True)
class AnchorLayout:
    """How anchors are laid out; the defaults are those of keras-retinanet.

    Attributes:
        offset: where the centre of an anchor lies in its cell, in strides: 0.5 in the middle, 0 in
            the upper left corner.
        scales_first: whether the anchors of a location are ordered by scale, then by ratio;
            otherwise by ratio, then by scale.
        whole_pixels: whether the sides of the square anchors are rounded down to whole pixels, and
            the corners of all anchors around the origin are rounded to them (half to even).
        fitted_strides: whether the strides of a level are the side of the padded image divided by
            the number of cells, rounded down, in each direction; the given strides do not count.
    """

    offset: float = 0.5
    scales_first: bool = False
    whole_pixels: bool = False
    fitted_strides: bool = False

    def __post_init__(self) -> None:
        """Raise ValueError if a value is of another type, or the offset outside the cell."""
        for name, value in asdict(self).items():
            if name != "offset" and not isinstance(value, bool):
                raise ValueError(f"anchors: {name}: expected true or false, got {shorten(value)}")
        offset = self.offset
        if isinstance(offset, bool) or not isinstance(offset, (int, float)) or not 0 <= offset <= 1:
            raise ValueError(f"anchors: offset: expected 0 to 1, got {shorten(offset)}")

    def to_dict(self) -> dict[str, Any]:
        """Return the layout as plain values, for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any] | None) -> "AnchorLayout":
        """Return the layout that `to_dict` described; the default for None.

        Raises:
            ValueError: if a value is unknown or malformed.
        """
        try:
            return cls(**values or {})
        except TypeError:
            raise ValueError(f"expected a layout of anchors, got {shorten(values, 120)}") from None


DEFAULT_LAYOUT = AnchorLayout()


class AnchorParameters:
    """The sizes and shapes of the anchors of each pyramid level.

    Attributes:
        sizes: side in pixels of a square anchor of scale 1, one for each level.
        strides: pixels from one anchor centre to the next, one for each level.
        ratios: height divided by width of the anchors per location.
        scales: factors on the level's size of the anchors per location.
        layout: where the anchors lie, and in which order.
    """

    default: "AnchorParameters"

    def __init__(
        self,
        sizes: Iterable[float],
        strides: Iterable[int],
        ratios: Sequence[float] | np.ndarray,
        scales: Sequence[float] | np.ndarray,
        *,
        layout: AnchorLayout = DEFAULT_LAYOUT,
    ) -> None:
        """Keep the four lists, `ratios` and `scales` as float32 arrays, and the layout."""
        self.sizes = list(sizes)
        self.strides = list(strides)
        self.ratios = np.asarray(ratios, "float32")
        self.scales = np.asarray(scales, "float32")
        self.layout = layout

    def num_anchors(self) -> int:
        """Return the number of anchors per location of a level."""
        return len(self.ratios) * len(self.scales)

    def with_layout(self, layout: AnchorLayout) -> "AnchorParameters":
        """Return the same sizes, strides, ratios and scales with a layout."""
        return AnchorParameters(self.sizes, self.strides, self.ratios, self.scales, layout=layout)

    def to_dict(self) -> dict[str, Any]:
        """Return the parameters as lists of plain numbers, for JSON.

        A layout that is not the default is added as a dictionary.
        """
        layout = {} if self.layout == DEFAULT_LAYOUT else {"layout": self.layout.to_dict()}
        return {**self._lists(), **layout}

    def _lists(self) -> dict[str, list]:
        return {
            "sizes": [float(size) for size in self.sizes],
            "strides": [int(stride) for stride in self.strides],
            "ratios": self.ratios.tolist(),
            "scales": self.scales.tolist(),
        }

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "AnchorParameters":
        """Return the parameters that `to_dict` described.

        Raises:
            ValueError: if they are not four lists of finite numbers, perhaps with a layout.
        """
        layout = AnchorLayout.from_dict(values.get("layout") if isinstance(values, dict) else None)
        try:
            found = cls(**{**values, "layout": layout})
            lists = found._lists().values()
            good = all(np.ndim(numbers) == 1 and np.isfinite(numbers).all() for numbers in lists)
        except (TypeError, ValueError, OverflowError):
            good = False
        if not good:
            raise ValueError(
                "expected anchors with four lists of numbers, sizes, strides, ratios and scales, "
                f"got {shorten(values, 120)}"
            )
        return found

    def __eq__(self, other: Any) -> bool:
        return isinstance(other, AnchorParameters) and self.to_dict() == other.to_dict()

    def __hash__(self) -> int:
        return hash((*map(tuple, self._lists().values()), self.layout))

    def __repr__(self) -> str:
        return f"AnchorParameters({self.to_dict()})"


# Section 4 of the focal loss paper: areas of 32^2 to 512^2 pixels on P3 to P7, three shapes, and
# three sizes per octave.
AnchorParameters.default = AnchorParameters(
    sizes=[32, 64, 128, 256, 512],
    strides=[8, 16, 32, 64, 128],
    ratios=[0.5, 1, 2],
    scales=[2**0, 2 ** (1 / 3), 2 ** (2 / 3)],
)


def generate_anchors(
    base_size: float = 16,
    ratios: Sequence[float] | np.ndarray | None = None,
    scales: Sequence[float] | np.ndarray | None = None,
    *,
    layout: AnchorLayout = DEFAULT_LAYOUT,
) -> np.ndarray:
    """Return the anchors of one location, centred on the origin.

    Args:
        base_size: side in pixels of the square anchor of scale 1.
        ratios: heights divided by widths; None means 1/2, 1, 2.
        scales: factors on `base_size`; None means three steps of a third of an octave.
        layout: in which order they come, and whether they are rounded.

    Returns:
        Float64 array `(len(ratios) * len(scales), 4)`: all scales of the first ratio come first,
        unless the layout has the scales first.
    """
    ratios = AnchorParameters.default.ratios if ratios is None else np.asarray(ratios)
    scales = AnchorParameters.default.scales if scales is None else np.asarray(scales)
    sides = (base_size * scales).astype("float64")
    if layout.whole_pixels:
        sides = np.floor(sides)
    if layout.scales_first:
        sides, ratios = np.repeat(sides, len(ratios)), np.tile(ratios, len(sides))
    else:
        sides, ratios = np.tile(sides, len(ratios)), np.repeat(ratios, len(sides))
    widths = np.sqrt(sides * sides / ratios)
    heights = widths * ratios
    anchors = np.stack([-widths, -heights, widths, heights], axis=1) / 2
    return np.round(anchors) if layout.whole_pixels else anchors


def level_strides(
    stride: float, cells: Sequence[int], image_shape: Sequence[int], layout: AnchorLayout
) -> tuple[float, float]:
    """Return the strides of a pyramid level in y and x.

    Args:
        stride: the stride of the level in the anchor parameters.
        cells: rows and columns of the level: integers or integer tensors.
        image_shape: `(height, width, ...)` of the padded image: integers or integer tensors.
        layout: whether the strides are fitted to the image.
    """
    if not layout.fitted_strides:
        return stride, stride
    return image_shape[0] // cells[0], image_shape[1] // cells[1]


def guess_shapes(image_shape: Sequence[int], pyramid_levels: Sequence[int]) -> list[np.ndarray]:
    """Return rows and columns of each pyramid level for an image shape `(height, width, ...)`.

    Every stride-2 layer of the networks here rounds up, so level p has `ceil(side / 2**p)` cells.
    """
    steps = 2 ** np.array(pyramid_levels)[:, None]
    return list((np.array(image_shape[:2]) + steps - 1) // steps)


def layer_shapes(image_shape: Sequence[int], model: "keras.Model") -> dict[str, tuple]:
    """Return the output shape of every layer of a model for an image shape `(height, width, 3)`.

    Returns:
        Dictionary of layer name -> shape with a leading None for the batch; without the heads.
    """
    import keras

    # A model used as a layer, such as a head, runs on several levels: it has no single output.
    outputs = {
        layer.name: layer.output for layer in model.layers if not isinstance(layer, keras.Model)
    }
    probe = keras.Model(model.inputs, outputs)
    shapes = probe.compute_output_shape((None, *image_shape))
    return {name: tuple(shape) for name, shape in shapes.items()}


def make_shapes_callback(model: "keras.Model") -> ShapesCallback:
    """Return a replacement for `guess_shapes` that asks the model's own layers P2..P7."""

    @lru_cache(maxsize=256)
    def shapes_of(image_shape: tuple[int, ...]) -> dict[str, tuple]:
        return layer_shapes(image_shape, model)

    def get_shapes(
        image_shape: Sequence[int], pyramid_levels: Sequence[int]
    ) -> list[tuple[int, int]]:
        shapes = shapes_of(tuple(int(side) for side in image_shape))
        return [shapes[f"P{level}"][1:3] for level in pyramid_levels]

    return get_shapes


def matches_default_shapes(model: "keras.Model", pyramid_levels: Sequence[int]) -> bool:
    """Return whether `guess_shapes` is right for a model.

    Backbones of keras-retinanet 1.0.0 other than ResNet round down where a stride does not divide
    a side; so do the snapshots that it wrote of them.
    """
    odd = (333, 501, 3)
    shapes = make_shapes_callback(model)(odd, pyramid_levels)
    return [tuple(shape) for shape in shapes] == [
        tuple(shape) for shape in guess_shapes(odd, pyramid_levels)
    ]


def anchors_for_shape(
    image_shape: Sequence[int],
    pyramid_levels: Sequence[int] | None = None,
    anchor_params: AnchorParameters | None = None,
    shapes_callback: ShapesCallback | None = None,
) -> np.ndarray:
    """Return all anchors of an image: a read-only float64 array `(N, 4)`.

    They come level by level, row by row, column by column. Arguments and errors are those of
    `anchor_index_for_shape`.
    """
    return anchor_index_for_shape(
        image_shape, pyramid_levels, anchor_params, shapes_callback
    ).anchors


def anchor_index_for_shape(
    image_shape: Sequence[int],
    pyramid_levels: Sequence[int] | None = None,
    anchor_params: AnchorParameters | None = None,
    shapes_callback: ShapesCallback | None = None,
) -> AnchorIndex:
    """Return all anchors of an image with a look-up of those near a box.

    Args:
        image_shape: `(height, width, ...)` of the padded image.
        pyramid_levels: levels in use; None means 3 to 7.
        anchor_params: None means those of the paper.
        shapes_callback: None means `guess_shapes`.

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
    cells = tuple((int(rows), int(columns)) for rows, columns in shapes)
    strides = tuple(
        level_strides(stride, shape, image_shape, params.layout)
        for stride, shape in zip(params.strides, cells, strict=True)
    )
    return _anchor_index(cells, strides, params)


@lru_cache(maxsize=64)
def _anchor_index(
    shapes: tuple[tuple[int, int], ...],
    strides: tuple[tuple[float, float], ...],
    params: AnchorParameters,
) -> AnchorIndex:
    """Return the anchors of feature maps with these rows and columns, and strides in y and x."""
    layout = params.layout
    return AnchorIndex(
        [
            boxes.shift(
                shape,
                stride,
                generate_anchors(size, params.ratios, params.scales, layout=layout),
                offset=layout.offset,
            ).reshape(*shape, params.num_anchors(), 4)
            for shape, size, stride in zip(shapes, params.sizes, strides, strict=True)
        ]
    )
