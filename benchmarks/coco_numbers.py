"""Time of the COCO numbers of 5,000 images with 100 detections each, beside pycocotools."""

import contextlib
import io

from common import NEW, main, milliseconds, parser

IMAGES, DETECTIONS, CLASSES = 5_000, 100, 80


def drawn():
    """Return ground truth in COCO form and detections, many of them near a box of their class."""
    import numpy as np

    rng = np.random.default_rng(0)
    truth, found = [], []
    for image in range(IMAGES):
        count = int(rng.integers(1, 15))
        boxes = np.column_stack([rng.uniform(0, 400, (count, 2)), rng.uniform(5, 200, (count, 2))])
        labels = rng.integers(1, CLASSES + 1, count)
        for box, label in zip(boxes.tolist(), labels.tolist(), strict=True):
            truth.append(
                {
                    "id": len(truth) + 1,
                    "image_id": image,
                    "category_id": label,
                    "bbox": box,
                    "area": box[2] * box[3],
                    "iscrowd": int(rng.uniform() < 0.01),
                }
            )
        near = rng.integers(0, count, DETECTIONS)
        moved = boxes[near] * rng.uniform(0.8, 1.25, (DETECTIONS, 4))
        classes = np.where(
            rng.uniform(size=DETECTIONS) < 0.5,
            labels[near],
            rng.integers(1, CLASSES + 1, DETECTIONS),
        )
        scores = rng.uniform(0.05, 1, DETECTIONS)
        found.append(np.column_stack([np.full(DETECTIONS, image), moved, scores, classes]))
    dataset = {
        "images": [{"id": image, "width": 640, "height": 640} for image in range(IMAGES)],
        "categories": [{"id": label, "name": str(label)} for label in range(1, CLASSES + 1)],
        "annotations": truth,
    }
    return dataset, np.concatenate(found)


def with_pycocotools(dataset, detections):
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO()
        truth.dataset = dataset
        truth.createIndex()
        run = COCOeval(truth, truth.loadRes(detections), "bbox")
        run.evaluate()
        run.accumulate()
        run.summarize()
    return run.stats


def ours(dataset, detections):
    from keras_retinanet.evaluation import metrics

    return list(metrics.coco_summary(dataset, detections).values())


def new_measures(options):
    """Return measures of both, and of how far apart the numbers are."""
    import numpy as np

    data, numbers = drawn(), {}

    def run(name, function):
        return milliseconds(lambda: numbers.update({name: function(*data)}))

    return {
        "COCO numbers by pycocotools, ms": lambda: run("pycocotools", with_pycocotools),
        "COCO numbers, ms": lambda: run("ours", ours),
        "greatest difference of a number": lambda: float(
            np.abs(np.subtract(numbers["pycocotools"], numbers["ours"])).max()
        ),
    }


if __name__ == "__main__":
    main(parser(__doc__).parse_args(), {NEW: new_measures}, warm_up=False)
