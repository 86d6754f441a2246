"""Train torchvision's RetinaNet for `small_sets.py`, which starts this with settings in JSON.

MobileNetV2 starts from the weights that Keras has, with frozen batch normalisation and Keras's
padding; losses, anchors, matching and filtering are torchvision's own. Adam, horizontal flips.
It prints the COCO numbers after each epoch.
"""

import csv
import json
import random
import sys
from pathlib import Path

import cv2
import numpy as np
import torch
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval
from torchvision.models import mobilenet_v2
from torchvision.models.detection import RetinaNet
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.backbone_utils import BackboneWithFPN
from torchvision.ops import FrozenBatchNorm2d
from torchvision.ops.feature_pyramid_network import LastLevelP6P7

# The last blocks of strides 8, 16 and 32, and their channels.
BLOCKS, CHANNELS = {"6": "0", "13": "1", "18": "2"}, [32, 96, 1280]
BN_EPSILON = 1e-3  # Keras's


def main():
    settings = json.loads(sys.argv[1])
    seed = settings["seed"]
    torch.manual_seed(seed)
    rng = random.Random(seed)
    source = Path(settings["source"])
    classes = [name for name, _ in rows_of(source / "classes.csv")]
    training, held_out = read_set(source, "train", classes), read_set(source, "val", classes)
    model = build_model(settings["weights"], len(classes), *settings["sides"])
    trained = [each for each in model.parameters() if each.requires_grad]
    optimizer = torch.optim.Adam(trained, lr=settings["rate"])
    for epoch in range(settings["epochs"]):
        order = rng.sample(range(len(training)), len(training))
        batches = [
            order[start : start + settings["batch_size"]]
            for start in range(0, len(order), settings["batch_size"])
        ]
        losses = [train_step(model, optimizer, [training[i] for i in b], rng) for b in batches]
        print(f"epoch {epoch + 1}: loss {np.mean(losses):.4f}", flush=True)
        evaluate(model, held_out, classes)


def rows_of(path):
    with open(path, newline="") as file:
        return list(csv.reader(file))


def read_set(source, part, classes):
    """Return images `(h, w, 3)` BGR with boxes `(n, 4)` and labels `(n,)`."""
    objects = {}
    for name, *box, label in rows_of(source / f"{part}.csv"):
        found = objects.setdefault(name, ([], []))
        if label:
            found[0].append([float(value) for value in box])
            found[1].append(classes.index(label))
    return [
        (
            cv2.imread(str(source / name)),
            np.array(boxes, "float32").reshape(-1, 4),
            np.array(labels, "int64"),
        )
        for name, (boxes, labels) in objects.items()
    ]


def build_model(weights, classes, short_side, long_side):
    network = mobilenet_v2(weights=None, norm_layer=frozen_norm).features
    load_weights(network, weights)
    pyramid = BackboneWithFPN(network, BLOCKS, CHANNELS, 256, LastLevelP6P7(256, 256))
    octaves = [2 ** (k / 3) for k in range(3)]
    sizes = tuple(tuple(int(side * k) for k in octaves) for side in (32, 64, 128, 256, 512))
    return RetinaNet(
        pyramid,
        classes,
        min_size=short_side,
        max_size=long_side,
        image_mean=[0.5] * 3,
        image_std=[0.5] * 3,
        anchor_generator=AnchorGenerator(sizes, ((0.5, 1.0, 2.0),) * len(sizes)),
    )


def frozen_norm(channels):
    return FrozenBatchNorm2d(channels, eps=BN_EPSILON)


class KerasPadded(torch.nn.Module):
    """A convolution of stride 2 that pads below and on the right alone, as Keras does."""

    def __init__(self, convolution):
        super().__init__()
        self.convolution = convolution
        convolution.padding = (0, 0)

    def forward(self, images):
        right, below = images.shape[-1] % 2, images.shape[-2] % 2
        padded = torch.nn.functional.pad(images, (right, 1, below, 1))
        return self.convolution(padded)


def load_weights(network, path):
    """Set the weights, and check the features of an image."""
    stored = np.load(path)
    layers = sorted({name.split(".")[0] for name in stored if name[0].isdigit()})
    kinds = (torch.nn.Conv2d, FrozenBatchNorm2d)
    own = [each for each in network.modules() if isinstance(each, kinds)]
    for layer, number in zip(own, layers, strict=True):
        values = {
            name.split(".")[1]: torch.from_numpy(stored[name])
            for name in stored
            if name.startswith(number)
        }
        if isinstance(layer, torch.nn.Conv2d):
            kernel = values["kernel"]
            order = (2, 3, 0, 1) if layer.groups > 1 else (3, 2, 0, 1)
            layer.weight.data.copy_(kernel.permute(order))
        else:
            layer.weight.copy_(values["gamma"])
            layer.bias.copy_(values["beta"])
            layer.running_mean.copy_(values["moving_mean"])
            layer.running_var.copy_(values["moving_variance"])
    for module in list(network.modules()):
        for name, child in list(module.named_children()):
            if isinstance(child, torch.nn.Conv2d) and child.stride == (2, 2):
                setattr(module, name, KerasPadded(child))
    with torch.inference_mode():
        found = network(torch.from_numpy(stored["image"]).permute(0, 3, 1, 2))
    expected = torch.from_numpy(stored["features"]).permute(0, 3, 1, 2)
    torch.testing.assert_close(found, expected, atol=1e-3, rtol=1e-3)


def train_step(model, optimizer, samples, rng):
    model.train()
    images, targets = [], []
    for image, boxes, labels in samples:
        if rng.random() < 0.5:
            image = image[:, ::-1]
            boxes = boxes.copy()
            boxes[:, [0, 2]] = image.shape[1] - boxes[:, [2, 0]]
        images.append(tensor(image))
        targets.append({"boxes": torch.from_numpy(boxes), "labels": torch.from_numpy(labels)})
    optimizer.zero_grad()
    loss = sum(model(images, targets).values())
    loss.backward()
    optimizer.step()
    return loss.item()


def tensor(image):
    return torch.from_numpy(np.ascontiguousarray(image[..., ::-1].transpose(2, 0, 1))) / 255


def evaluate(model, samples, classes):
    """Print the COCO numbers."""
    model.eval()
    truth = {
        "info": {},
        "images": [{"id": number} for number in range(len(samples))],
        "categories": [{"id": number, "name": name} for number, name in enumerate(classes)],
        "annotations": [],
    }
    results = []
    for number, (image, boxes, labels) in enumerate(samples):
        for box, label in zip(boxes.tolist(), labels.tolist(), strict=True):
            corner, sides = box[:2], [box[2] - box[0], box[3] - box[1]]
            truth["annotations"].append(
                {
                    "id": len(truth["annotations"]) + 1,
                    "image_id": number,
                    "category_id": label,
                    "bbox": corner + sides,
                    "area": sides[0] * sides[1],
                    "iscrowd": 0,
                }
            )
        with torch.inference_mode():
            found = model([tensor(image)])[0]
        for box, score, label in zip(
            *(found[name].tolist() for name in ("boxes", "scores", "labels")), strict=True
        ):
            results.append(
                {
                    "image_id": number,
                    "category_id": label,
                    "bbox": box[:2] + [box[2] - box[0], box[3] - box[1]],
                    "score": score,
                }
            )
    if not results:
        print("nothing found")
        return
    known = COCO()
    known.dataset = truth
    known.createIndex()
    evaluation = COCOeval(known, known.loadRes(results), "bbox")
    evaluation.evaluate()
    evaluation.accumulate()
    evaluation.summarize()


if __name__ == "__main__":
    main()
