"""Time of anchors and training targets: one 800x1333 image, 20 boxes, 80 classes, one thread."""

import contextlib

from common import NEW, OLD, main, milliseconds, parser

SHAPE, BOXES, CLASSES = (800, 1333, 3), 20, 80
NAMES = (
    "anchors and targets as handed to fit, ms",
    "anchors and targets of the first image of a shape, ms",
    "anchors and targets in the dense form, ms",
)


def sample():
    """Return an image and its annotations, with boxes of 20 to 420 pixels."""
    import numpy as np

    rng = np.random.default_rng(0)
    sides = rng.uniform(20, 420, (BOXES, 2))
    corners = rng.uniform(0, 1, (BOXES, 2)) * ([SHAPE[1], SHAPE[0]] - sides)
    boxes = np.concatenate([corners, corners + sides], axis=1)
    labels = rng.integers(0, CLASSES, BOXES)
    return [np.zeros(SHAPE, "float32")], [{"bboxes": boxes, "labels": labels}]


def old_measures(options):
    with contextlib.suppress(ImportError):
        import legacy  # noqa: F401
    from keras_retinanet.utils.anchors import anchor_targets_bbox, anchors_for_shape

    def targets():
        return anchor_targets_bbox(anchors_for_shape(SHAPE), images, annotations, CLASSES)

    images, annotations = sample()
    return {NAMES[0]: timed(targets), NAMES[2]: timed(targets)}


def new_measures(options):
    from keras_retinanet.geometry import anchors
    from keras_retinanet.geometry.targets import anchor_targets_bbox, anchor_targets_compact

    def compact():
        index = anchors.anchor_index_for_shape(SHAPE)
        return anchor_targets_compact(index.anchors, images, annotations, CLASSES, index=index)

    def compact_of_a_new_shape():
        anchors._anchor_index.cache_clear()
        return compact()

    def dense():
        return anchor_targets_bbox(anchors.anchors_for_shape(SHAPE), images, annotations, CLASSES)

    images, annotations = sample()
    return {
        NAMES[1]: timed(compact_of_a_new_shape),
        NAMES[0]: timed(compact),
        NAMES[2]: timed(dense),
    }


def timed(function):
    return lambda: milliseconds(function)


if __name__ == "__main__":
    main(parser(__doc__).parse_args(), {OLD: old_measures, NEW: new_measures})
