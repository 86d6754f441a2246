"""Folders in TensorFlow's format, for TensorFlow Serving and everything else that reads them."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable

import keras
import numpy as np
import tensorflow as tf

from keras_retinanet.detection.runners import RECORD_IN_FOLDER
from keras_retinanet.export.network import Network
from keras_retinanet.export.resizing import resize_in_graph


def write(network: Network, path: str, calibration: Iterable[np.ndarray] = ()) -> None:
    """Write a network with the signatures `serve` and, if it filters images of any size, another.

    `serve` takes BGR images `(b, h, w, 3)` of one size, as resized, and returns boxes in their
    pixels. `serve_bytes` takes the bytes `(b,)` of JPEG or PNG files of any sizes, and returns
    boxes in the pixels of these.
    """
    # Without `track`: with it Keras 3.15 stores each variable twice.
    archive = keras.export.ExportArchive()
    archive.add_endpoint("serve", network.serve, input_signature=[network.signature()])
    if not network.record.is_raw and network.record.input_size is None:
        files = tf.TensorSpec((None,), tf.string, name="images")
        archive.add_endpoint("serve_bytes", _from_files(network), input_signature=[files])
    archive.write_out(path, verbose=False)
    record = os.path.join(path, RECORD_IN_FOLDER)
    os.makedirs(os.path.dirname(record), exist_ok=True)
    with open(record, "w", encoding="utf-8") as file:
        file.write(network.record.to_json())


def _from_files(network: Network) -> Callable[[tf.Tensor], dict[str, tf.Tensor]]:
    """Return the function from image files to detections."""
    kinds = {"boxes": "float32", "scores": "float32", "labels": "int32"}

    def one_file(data: tf.Tensor) -> dict[str, tf.Tensor]:
        image = _decode(data)
        resized, scale = resize_in_graph(image, network.record.info)
        found = network.serve(tf.cast(resized, network.record.input_type)[None])
        boxes = found["boxes"][0] / scale
        limits = tf.cast(tf.tile(tf.shape(image)[1::-1], (2,)), "float32")
        is_found = found["labels"][0][:, None] >= 0
        boxes = tf.where(is_found, tf.clip_by_value(boxes, 0.0, limits), -1.0)
        return {"boxes": boxes, "scores": found["scores"][0], "labels": found["labels"][0]}

    count = network.record.info.filter_settings.max_detections
    signature = {
        name: tf.TensorSpec((count, 4) if name == "boxes" else (count,), kind)
        for name, kind in kinds.items()
    }

    def serve_bytes(images: tf.Tensor) -> dict[str, tf.Tensor]:
        return tf.map_fn(one_file, images, fn_output_signature=signature)

    return serve_bytes


def _decode(data: tf.Tensor) -> tf.Tensor:
    """Return the image in the bytes of a file, BGR uint8 `(h, w, 3)`."""
    image = tf.cond(
        tf.io.is_jpeg(data),
        lambda: tf.io.decode_jpeg(data, channels=3, dct_method="INTEGER_ACCURATE"),
        lambda: tf.io.decode_png(data, channels=3),
    )
    return image[..., ::-1]
