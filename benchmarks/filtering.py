"""Time of filtering 163,206 boxes of 80 classes to 300 detections, 3,000 scores above 0.05."""

import contextlib
import hashlib

from common import NEW, OLD, TORCHVISION, main, milliseconds, parser

BOXES, CLASSES, ABOVE = 163_206, 80, 3_000
TIME = "filtering, ms"
# Sum of what the detections are made of: equal where all detections are.
DIGEST = "digest of the detections"


def arrays():
    """Return boxes and scores, as a network gives them: low, but for some around objects."""
    import numpy as np

    rng = np.random.default_rng(0)
    scores = rng.uniform(0, 0.04, (BOXES, CLASSES)).astype("float32")
    rows, labels = rng.integers(0, BOXES, ABOVE), rng.integers(0, CLASSES, ABOVE)
    scores[rows, labels] = rng.uniform(0.06, 1, ABOVE)
    corners = rng.uniform(0, [1233, 700], (BOXES, 2))
    corners[rows] = rng.uniform(0, [1233, 700], (30, 2))[rng.integers(0, 30, ABOVE)]
    corners += rng.uniform(0, 10, (BOXES, 2))
    boxes = np.concatenate([corners, corners + rng.uniform(60, 100, (BOXES, 2))], axis=1)
    return boxes.astype("float32"), scores


def old_measures(options):
    with contextlib.suppress(ImportError):
        import legacy  # noqa: F401
    return measures()


def measures():
    """Return the measures of either package: the layer has the same name in both."""
    import tensorflow as tf

    from keras_retinanet.layers import FilterDetections

    boxes, scores = (tf.constant(array[None]) for array in arrays())
    layer = FilterDetections()
    run = tf.function(lambda: layer([boxes, scores]))
    return {TIME: lambda: milliseconds(lambda: run()[0].numpy()), DIGEST: lambda: digest(run())}


def digest(outputs) -> int:
    """Return a number made from the bytes of the outputs."""
    content = b"".join(output.numpy()[0].astype("float32").tobytes() for output in outputs[:3])
    return int(hashlib.sha256(content).hexdigest()[:8], 16)


def torchvision_measures(options):
    import torch
    from torchvision.models.detection import retinanet_resnet50_fpn

    model = retinanet_resnet50_fpn(
        weights=None, weights_backbone=None, num_classes=CLASSES, detections_per_img=300
    ).eval()
    boxes, scores = (torch.from_numpy(array) for array in arrays())
    # Its boxes come from anchors and offsets: no offsets leave the anchors.
    head = {
        "cls_logits": [torch.logit(scores)[None]],
        "bbox_regression": [torch.zeros(1, BOXES, 4)],
    }

    def run():
        with torch.no_grad():
            return model.postprocess_detections(head, [[boxes]], [(800, 1333)])

    return {TIME: lambda: milliseconds(run)}


if __name__ == "__main__":
    makers = {OLD: old_measures, TORCHVISION: torchvision_measures, NEW: lambda options: measures()}
    main(parser(__doc__).parse_args(), makers, one_thread=False)
