"""Files as keras-retinanet 1.0.0 wrote them, and what it computes with them.

The tests call `write_snapshot` with the layouts stored here; the weights follow from their names.
With keras-retinanet 1.0.0 importable (on tf_keras; first set up `import keras` to mean that),

    python old_snapshots.py

makes the layouts (`*.layout.json.gz`) and the expected numbers (`*.expected.npz`) again.
"""

import gzip
import json
import sys
import tempfile
import zlib
from pathlib import Path

import h5py
import numpy as np

HERE = Path(__file__).parent

# Training snapshots of the other families, of which every 25th anchor is kept.
FAMILIES = (
    "mobilenet128_1.0",
    "densenet121",
    "vgg16",
    "seresnet18",
    "seresnext50",
    "EfficientNetB0",
)
FEW = 25


def read_layout(case):
    """Return names, shapes and configurations of a snapshot, as `describe` found them."""
    with gzip.open(HERE / f"{case}.layout.json.gz", "rt") as file:
        return json.load(file)


def read_expected(case):
    """Return what 1.0.0 computed with a snapshot, name -> array."""
    return np.load(HERE / f"{case}.expected.npz")


def images():
    """Return the normalised images that the expected numbers are for."""
    return np.random.default_rng(5).uniform(-120, 130, (2, 75, 98, 3)).astype("float32")


def weight(name, shape):
    """Return a weight that keeps activations in range and depends on its name alone."""
    noise = np.random.default_rng(zlib.crc32(name.encode())).standard_normal(shape, "float32")
    layer, kind = name.split(":")[0].split("/")[-2:]
    if kind == "depthwise_kernel":
        return noise * np.float32(np.sqrt(2 / np.prod(shape[:2])))
    if kind == "kernel":
        gain = np.sqrt(2 / np.prod(shape[:-1]))
        if shape[-2] == 3:
            gain /= 60  # it sees pixels, not unit Gaussians
        elif layer.startswith("pyramid_"):
            gain *= 0.8
        return noise * np.float32(gain)
    starts = {"gamma": 0.5, "moving_variance": 1.0, "bias": 0.0, "beta": 0.0, "moving_mean": 0.0}
    return np.float32(starts[kind]) + np.abs(noise) * np.float32(0.05)


def write_snapshot(layout, path):
    """Write the HDF5 file that a layout describes."""
    with h5py.File(path, "w") as file:
        file.attrs.update(layout["attrs"])
        root = file.create_group("model_weights")
        root.attrs["layer_names"] = np.array([name for name, _ in layout["layers"]], "S")
        for layer, weights in layout["layers"]:
            group = root.create_group(layer)
            group.attrs["weight_names"] = np.array([name for name, _ in weights], "S")
            for name, shape in weights:
                group[name] = weight(name, shape)


def describe(path):
    """Return the layout of an HDF5 file of Keras 2."""
    with h5py.File(path, "r") as file:
        root = file["model_weights"]
        layers = []
        for layer in root.attrs["layer_names"]:
            names = [str(name) for name in root[layer].attrs["weight_names"].astype(str)]
            layers.append((str(layer), [(name, root[layer][name].shape) for name in names]))
        attrs = {k: v for k, v in file.attrs.items() if k in ("keras_version", "model_config")}
    return {"attrs": attrs, "layers": layers}


def without_code(layout):
    """Return a layout without the compiled functions of Lambda layers."""
    config = json.loads(layout["attrs"]["model_config"])
    for layer in config["config"]["layers"]:
        if layer["class_name"] == "Lambda":
            layer["config"]["function"] = ["", None, None]
    return {**layout, "attrs": {**layout["attrs"], "model_config": json.dumps(config)}}


def with_padded_stem(layout):
    """Return a layout changed to what keras-resnet 0.1.0 and Keras 2.2.4 wrote."""
    config = json.loads(layout["attrs"]["model_config"].replace('"Functional"', '"Model"'))
    layers = config["config"]["layers"]
    pad = {
        "class_name": "ZeroPadding2D",
        "config": {"name": "padding_conv1", "padding": [[3, 3], [3, 3]], "trainable": True},
        "name": "padding_conv1",
        "inbound_nodes": layers[1]["inbound_nodes"],
    }
    conv = {**layers[1], "inbound_nodes": [[["padding_conv1", 0, 0, {}]]]}
    conv["config"] = {**conv["config"], "padding": "valid"}
    config["config"]["layers"] = [layers[0], pad, conv, *layers[2:]]
    names = layout["layers"]
    return {
        "attrs": {"keras_version": "2.2.4", "model_config": json.dumps(config)},
        "layers": [names[0], ("padding_conv1", []), *names[1:]],
    }


def _make(case, model, change, models, run, backbone="resnet50"):
    """Write layout and expected numbers of one case."""
    with tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/model.h5"
        model.save(path)
        layout = change(describe(path))
        write_snapshot(layout, path)
        expected = run(models.load_model(path, backbone))
    with gzip.GzipFile(HERE / f"{case}.layout.json.gz", "wb", mtime=0) as file:
        file.write(json.dumps(without_code(layout)).encode())
    np.savez_compressed(HERE / f"{case}.expected.npz", **expected)
    print({name: value.shape for name, value in expected.items()})


def _run_training(model, step=5):
    regression, classification = model.predict_on_batch(images())
    print(regression.std(), classification.std(), classification.mean())
    return {"regression": regression[:, ::step], "classification": classification[:, ::step]}


def _run_few(model):
    return _run_training(model, step=FEW)


def _run_converted(model):
    boxes, scores, labels = model.predict_on_batch(images())
    print(scores, np.diff(scores).max(), np.bincount(labels[labels >= 0]))
    return {"boxes": boxes, "scores": scores, "labels": labels}


def main():
    """Make all cases with the old package."""
    from keras_retinanet import models
    from keras_retinanet.utils.anchors import AnchorParameters

    training = models.backbone("resnet50").retinanet(num_classes=3)
    _make("old_training", training, lambda layout: layout, models, _run_training)
    anchors = AnchorParameters(
        [12, 24, 48, 96, 192, 384], [4, 8, 16, 32, 64, 128], np.array([0.5, 1.5]), np.array([1, 2])
    )
    levels = [2, 3, 4, 5, 6, 7]
    fine = models.backbone("resnet50").retinanet(
        num_classes=2, num_anchors=anchors.num_anchors(), pyramid_levels=levels
    )
    settings = {"nms_threshold": 0.3, "score_threshold": 0.55, "max_detections": 25}
    converted = models.convert_model(fine, anchor_params=anchors, pyramid_levels=levels, **settings)
    _make("old_converted", converted, with_padded_stem, models, _run_converted)
    _make_families(models, anchors, levels)


def _make_families(models, anchors, levels):
    """Make the cases of `FAMILIES`, and a converted ResNet-101 with levels 2 to 7."""
    import keras

    for name in FAMILIES:
        keras.backend.clear_session()
        # Keras 2 before 2.4 counted layers from 1, and the old package takes "activation_81".
        keras.layers.Activation("relu")
        model = models.backbone(name).retinanet(num_classes=2)
        _make(name, model, lambda layout: layout, models, _run_few, name)
    deep = models.backbone("resnet101").retinanet(
        num_classes=2, num_anchors=anchors.num_anchors(), pyramid_levels=levels
    )
    settings = {"score_threshold": 0.55, "max_detections": 25}
    converted = models.convert_model(deep, anchor_params=anchors, pyramid_levels=levels, **settings)
    _make("resnet101", converted, lambda layout: layout, models, _run_converted)


if __name__ == "__main__":
    sys.path.pop(0)
    main()
