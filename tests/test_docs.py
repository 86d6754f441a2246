"""What docs/ shows as code is run."""

import re
from pathlib import Path

import numpy as np

from keras_retinanet.geometry.filter_settings import FilterSettings
from keras_retinanet.geometry.suppression import filter_boxes

DOCS = Path(__file__).parents[1] / "docs"


def test_raw_boxes_are_filtered_as_docs_export_says():
    (code,) = re.findall(r"```python\n(import numpy.*?)```", (DOCS / "export.md").read_text(), re.S)
    namespace = {}
    exec(code, namespace)
    rng = np.random.default_rng(0)
    corners = rng.uniform(0, 100, (300, 2))
    boxes = np.concatenate([corners, corners + rng.uniform(5, 40, (300, 2))], axis=1)
    boxes = boxes.astype("float32")
    scores = rng.permutation(900).reshape(300, 3).astype("float32") / 900
    for threshold in (0.05, 0.9, 1):
        found = namespace["detections"](boxes, scores, threshold)
        expected = filter_boxes(boxes, scores, FilterSettings(score_threshold=threshold))
        for ours, theirs in zip(found, expected, strict=True):
            np.testing.assert_array_equal(ours, theirs)
