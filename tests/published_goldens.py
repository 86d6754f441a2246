"""What torchvision, detectron2 and MMDetection compute with weights that follow from their names.

`data/published/` holds, for each library, names and shapes of the tensors of its RetinaNet on
ResNet-50 or ResNet-18, and the library's outputs for one picture: raw outputs and anchors (every
97th anchor, in the library's order), detections, and the box coder by itself. They were computed
with torchvision 0.29.1, detectron2 02b5c4e and MMDetection 3.3.0 on PyTorch 2.14.1.
"""

import gzip
import json
import re
import zlib
from pathlib import Path

import numpy as np

DATA = Path(__file__).parent / "data" / "published"
RESNET50 = ("torchvision_r50_fpn", "torchvision_r50_fpn_v2", "detectron2_r50_fpn", "mmdet_r50_fpn")
CASES = (*RESNET50, "mmdet_r18_fpn")
STEP = 97  # of the anchors that are kept

# Which part of a network a tensor belongs to: the first pattern that is found in its name.
_ROLES = {
    "class": r"\.(cls_logits|cls_score|retina_cls)\.",
    "box": r"\.(bbox_reg|bbox_pred|retina_reg)\.",
    "extra": r"\.p[67]\.|^neck\.fpn_convs\.[34]\.",
    "pyramid": r"fpn|^neck",
    "stem": r"^backbone\.(body\.|bottom_up\.stem\.)?conv1\.",
    "body": r"^backbone\.",
    "tower": "",
}


def read_layout(case):
    """Return names, shapes and types of the tensors of a case, and the rest of its description."""
    with gzip.open(DATA / f"{case}.layout.json.gz") as file:
        return json.load(file)


def expected(case):
    """Return what the library computed, by name."""
    return dict(np.load(DATA / f"{case}.expected.npz"))


def tensors(case):
    """Return the tensors of a case by name."""
    layout = read_layout(case)
    return {
        name: weight(name, tuple(shape), layout["gains"]).astype(dtype)
        for name, shape, dtype in layout["tensors"]
    }


def weight(name, shape, gains):
    """Return the values of the tensor of a name: random numbers that depend on the name alone."""
    module, kind = name.rsplit(".", 1)
    seed = zlib.crc32(name.encode())
    rng = np.random.default_rng(seed)
    role = next(role for role, pattern in _ROLES.items() if re.search(pattern, name))
    if kind == "num_batches_tracked":
        return np.asarray(seed % 100_000)
    if kind == "running_mean":
        return 0.1 * rng.standard_normal(shape)
    if kind == "running_var":
        return rng.uniform(0.5, 1.5, shape) * _channel_scale(module, shape[0])
    if kind == "weight" and len(shape) == 1:
        is_last = re.search(r"(\.bn3|\.conv3\.norm)$", module)
        values = rng.uniform(*((0.1, 0.4) if is_last else (0.6, 1.4)), shape)
        in_body = role in ("stem", "body")
        return values * np.sqrt(_channel_scale(module, shape[0])) if in_body else values
    if kind == "bias":
        values = 0.1 * rng.standard_normal(shape)
        return 3.0 * values + gains.get("class_bias", -4.5) if role == "class" else values
    gain = 1.0 if role in ("pyramid", "extra", "class", "box") else 2.0
    values = rng.standard_normal(shape) * np.sqrt(gain / np.prod(shape[1:]))
    return values * gains.get(role, 1.0)


def _channel_scale(module, count):
    """Return factors on the variances of a normalisation; with 1 in 20 of them epsilon shows."""
    rng = np.random.default_rng(zlib.crc32(f"{module}#scale".encode()))
    scale = np.ones(count)
    tiny = rng.uniform(0.0, 1.0, count) < 0.05
    scale[tiny] = rng.uniform(1e-4, 1e-3, count)[tiny]
    return scale


def picture(seed=12, height=128, width=192):
    """Return the picture of the outputs, BGR uint8: a gradient, rectangles, noise."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[0:height, 0:width]
    down, right = rows / height, columns / width
    image = np.stack([60 + 120 * down, 180 - 100 * right, 60 + 60 * (down + right)], axis=-1)
    for _ in range(12):
        top, left = rng.integers(0, height - 20), rng.integers(0, width - 20)
        tall, wide = rng.integers(10, height // 2), rng.integers(10, width // 2)
        image[top : top + tall, left : left + wide] = rng.integers(0, 256, 3)
    image = image + rng.integers(-25, 26, (height, width, 3))
    rgb = np.clip(np.rint(image), 0, 255).astype("uint8")
    return np.ascontiguousarray(rgb[..., ::-1])
