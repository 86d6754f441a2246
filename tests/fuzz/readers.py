"""The readers of the package: for each a small valid input, and how it is read."""

import contextlib
import functools
import io
import json
import os
import pickletools
import tempfile
import zipfile
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

import numpy as np
from PIL import Image

from keras_retinanet import config, images, models
from keras_retinanet.annotations import (
    csv_boxes,
    csv_files,
    image_sizes,
    open_images_layouts,
    yolo_layouts,
)
from keras_retinanet.batches.image_cache import OnDisk
from keras_retinanet.detection.sources import find_images
from keras_retinanet.geometry.anchors import AnchorParameters
from keras_retinanet.geometry.coders import coder_from_dict
from keras_retinanet.geometry.filter_settings import FilterSettings
from keras_retinanet.model_info import ModelInfo
from keras_retinanet.models.conversion import convert_file
from keras_retinanet.models.snapshots import is_keras2_file
from keras_retinanet.preprocessing import coco, csv_generator, kitti, open_images, pascal_voc, yolo
from keras_retinanet.system.image_headers import header_size
from keras_retinanet.system.limits import MAX_TENSOR_EXPANSION, MIN_TENSOR_BYTES
from keras_retinanet.zoo.checkpoints import read_checkpoint
from tests import data_sets
from tests.bombs import BOMBS
from tests.checkpoints import pickled, write_legacy, write_pkl, write_safetensors, write_zip
from tests.data import old_snapshots
from tests.models.conftest import TINY_INFO, build_tiny

# Other libraries are slow to start, and an input must not pay for it.
Image.init()


@dataclass(frozen=True)
class Reader:
    """A reader and what it is tried with.

    Attributes:
        files: function without arguments that returns a valid input: relative path -> bytes.
        read: function of the folder with these files, and of the name of the one that is damaged.
        damaged: the ends of the names of the files to damage.
        kind: how to damage them: a suffix; empty for their own; ".bytes" for any bytes; ".value"
            for other values of JSON, where the file only carries arguments.
        is_valid: whether the input is read if nothing is damaged.
        writes_input: whether the files that reading writes belong to the input: a cache.
        names_file: whether its errors have to name a file.
        tests: number of inputs in the suite.
    """

    files: Callable[[], Mapping[str, bytes]]
    read: Callable[[str, str], object]
    damaged: tuple[str, ...] = ("",)
    kind: str = ""
    is_valid: bool = True
    writes_input: bool = False
    names_file: bool = True
    tests: int = 40


def of_path(function, *arguments):
    """Return a function for `Reader.read` that calls one of a path."""
    return lambda folder, name: function(os.path.join(folder, name), *arguments)


def _bytes(folder, name):
    with open(os.path.join(folder, name), "rb") as file:
        return file.read()


def _expect(is_true, text):
    if not is_true:
        raise AssertionError(text)


# Data sets.


@functools.cache
def _data_set(form, end=""):
    """Return the files of a small data set whose names have an end."""
    texts = data_sets.FORMS[form].files(data_sets.IMAGES)
    files = {
        # As `change_json` writes it.
        name: (json.dumps(json.loads(text)) if name.endswith(".json") else text).encode()
        for name, text in texts.items()
    }
    for i, name in enumerate(data_sets.IMAGES):
        path = data_sets.FORMS[form].image.format(name)
        files[path] = _encoded("PNG" if path.endswith("png") else "JPEG", seed=i)
    return {name: content for name, content in files.items() if name.endswith(end)}


def _encoded(file_format, mode="RGB", seed=0, **options):
    """Return a small random picture in a file format."""
    shape = (data_sets.HEIGHT, data_sets.WIDTH, 3)
    pixels = np.random.default_rng(seed).integers(0, 255, shape).astype("uint8")
    stream = io.BytesIO()
    Image.fromarray(pixels).convert(mode).save(stream, file_format, **options)
    return stream.getvalue()


def _file(form, end, read):
    """Return the reader of one kind of file of a data set."""
    return Reader(lambda: _data_set(form, end), of_path(read))


def _generator(form, *damaged):
    return Reader(lambda: _data_set(form), lambda folder, name: _walk(folder, form), damaged)


def _walk(folder, form):
    """Ask a data set for all that training does, except for the images; return its boxes."""
    return _walk_through(data_sets.read(folder, form))


def _walk_through(generator):
    for index in range(generator.size()):
        generator.image_aspect_ratio(index)
        boxes = generator.load_annotations(index)["bboxes"]
        is_good = np.isfinite(boxes).all() and (boxes[:, 2:] > boxes[:, :2]).all()
        _expect(is_good, f"accepted the boxes {boxes.tolist()}")
    np.zeros(generator.num_classes())  # as the last layer of a network would
    return data_sets.found_boxes(generator)


def _voc_folder():
    """Return annotation files beside their images, and a file of class names."""
    files = {os.path.basename(name): content for name, content in _data_set("pascal").items()}
    del files["train.txt"]
    return {**files, "classes.txt": b"Car\nVan\n"}


def _read_voc_folder(folder, name):
    _walk_through(pascal_voc.PascalVocGenerator(folder, "train", classes=None))


def _old_config(path):
    parser = config.read_config_file(path)
    with contextlib.suppress(ValueError):  # which cannot name the file
        config.Config.of(parser)


CSV_WITH_HEADER = b"""\
filename;width;height;class;xmin;ymin;xmax;ymax
a.jpg;40;20;cat;1;2;30,5;12
b.jpg;40;20;;;;;
b.jpg;40;20;"dog";1;2;3;4
"""
YOLO_LAYOUT = {
    "obj.data": b"classes = 2\nnames = data/obj.names\ntrain = data/train.txt\n",
    "obj.names": b"cat\ndog\n",
    "notes.json": b'{"categories": [{"id": 0, "name": "cat"}, {"id": 1, "name": "dog"}]}',
    "train.txt": b"data/images/a.jpg\n",
    "images/a.jpg": b"",
    "images/a.txt": b"0 0.5 0.5 0.5 0.5\n",
}


def _yolo_layout(folder, name):
    with contextlib.suppress(FileNotFoundError):
        yolo_layouts.read_names(os.path.join(folder, "notes.json"))
    yolo_layouts.is_yolo(folder)
    description = yolo.describe(folder)
    for entries in description["sets"].values():
        yolo.find_images(description["root"], entries)


def _yolo_description(folder, name):
    description = yolo.read_description(os.path.join(folder, "data.yaml"))
    for entries in description["sets"].values():
        yolo.find_images(description["root"], entries)


def _open_images(read, end):
    """Return the reader of a file of metadata."""
    return Reader(
        lambda: _data_set("oid"),
        lambda folder, name: read(open_images_layouts.Files(folder, "train", "v4")),
        (end,),
    )


CLASS_IDS = {"/m/Car": "Car", "/m/Van": "Van"}
YOLO_FILES = {
    "data.yaml": b"path: .\ntrain: images\nval: [images, list.txt]\ntest: list.txt\nnc: 2\n"
    b"names:\n  0: Car\n  1: Van\n",
    "list.txt": b"./images/a.jpg\nimages/b.jpg\n",
    **dict.fromkeys(("images/a.jpg", "images/b.jpg", "labels/a.txt"), b""),
}
CONFIG_FILES = {
    "config.ini": b"[anchor_parameters]\nsizes = 32 64 128 256 512\nstrides = 8 16 32 64 128\n"
    b"ratios = 0.5 1 2\nscales = 1 1.2 1.6\n\n[pyramid_levels]\nlevels = 3 4 5 6 7\n\n"
    b"[augmentation]\nflip_x_chance = 0.5\nrotation = -0.1 0.1\n"
}


def _coco_export():
    """Return a COCO file without boxes and sizes, with numbers as text and a name that repeats."""
    rle = {"size": [20, 40], "counts": "P25?000000000000000\\a0"}
    segmentations = [[[1, 2, 9, 3, 4, 8]], rle, {"size": [20, 40], "counts": [45, 5, 750]}, []]
    content = {
        "images": [{"id": "1", "file_name": "x\\a.jpg"}, {"id": 2, "file_name": "/x/b.jpg"}],
        "categories": [{"id": 0, "name": "Car"}, {"id": "1", "name": "Car"}],
        "annotations": [
            {"image_id": "1", "category_id": 1, "segmentation": segmentation, "bbox": None}
            for segmentation in segmentations
        ],
    }
    files = {f"{name}.jpg": _encoded("JPEG") for name in "ab"}
    return {"_annotations.coco.json": json.dumps(content).encode(), **files}


def _read_coco_export(folder, _):
    generator = coco.CocoGenerator(folder, os.path.basename(folder))
    _expect(np.isfinite(generator.annotations.rows).all(), "boxes that are no numbers")
    for index in range(generator.size()):
        generator.declared_size(index)
    len(generator.coco.dataset["annotations"])


TEXTS = {
    "csv classes": _file(
        "csv",
        "classes.csv",
        lambda path: np.zeros(max(csv_generator.read_classes(path).values()) + 1),
    ),
    "csv annotations": _file(
        "csv",
        "annotations.csv",
        lambda path: csv_generator.read_annotations(path, data_sets.CLASSES),
    ),
    "csv generator": _generator("csv", ".csv"),
    "csv with a header": Reader(
        lambda: {"boxes.csv": CSV_WITH_HEADER},
        of_path(lambda path: csv_boxes.read_boxes(path, csv_boxes.FoundClasses())),
    ),
    "csv files": Reader(
        lambda: {"boxes.csv": CSV_WITH_HEADER},
        lambda folder, name: csv_files.find_csv_files(folder),
        names_file=False,
    ),
    "coco table": _file("coco", ".json", coco.load_table),
    "coco file": _file("coco", ".json", coco.load_coco),
    "coco generator": _generator("coco", ".json"),
    "coco export": Reader(_coco_export, _read_coco_export, (".json",)),
    "voc set": _file("pascal", ".txt", pascal_voc.read_image_set),
    "voc objects": _file(
        "pascal", ".xml", lambda path: pascal_voc.read_objects(path, data_sets.CLASSES)
    ),
    "voc generator": _generator("pascal", ".txt", ".xml"),
    "voc folder": Reader(_voc_folder, _read_voc_folder, (".xml", ".txt")),
    "kitti labels": _file("kitti", ".txt", kitti.read_labels),
    "kitti generator": _generator("kitti", ".txt"),
    "yolo description": Reader(lambda: YOLO_FILES, _yolo_description, ("data.yaml", "list.txt")),
    "yolo layout": Reader(lambda: YOLO_LAYOUT, _yolo_layout, (".txt", ".data", ".names", ".json")),
    "yolo labels": _file("yolo", ".txt", lambda path: yolo.read_labels(path, (40, 20), [0, 1])),
    "yolo generator": _generator("yolo", ".txt", ".yaml", ".jpg"),
    "open images boxes": _file(
        "oid", "bbox.csv", lambda path: open_images.read_boxes(path, {"/m/Car": 0, "/m/Van": 1})
    ),
    "open images classes": _open_images(
        open_images_layouts.read_class_names, "descriptions-boxable.csv"
    ),
    "open images hierarchy": _open_images(
        lambda files: open_images_layouts.choose_classes(files, CLASS_IDS, None, "Car"), ".json"
    ),
    "open images old hierarchy": _open_images(
        lambda files: open_images.load_hierarchy(files.metadata_dir), ".json"
    ),
    "open images generator": _generator("oid", ".csv", ".json", ".jpg"),
    "config": Reader(lambda: CONFIG_FILES, of_path(config.load_config)),
    "old config": Reader(lambda: CONFIG_FILES, of_path(_old_config)),
}

# Images.


@functools.cache
def _images():
    """Return a small image file of each format."""
    turned = Image.Exif()
    turned[0x0112] = 6
    return {
        "a.jpg": _encoded("JPEG"),
        "progressive.jpg": _encoded("JPEG", progressive=True, exif=turned),
        "cmyk.jpg": _encoded("JPEG", "CMYK"),
        "a.png": _encoded("PNG", exif=turned),
        "palette.png": _encoded("PNG", "P"),
        "deep.png": _encoded("PNG", "I;16"),
        "palette.bmp": _encoded("BMP", "P"),
        "lzw.tif": _encoded("TIFF", compression="tiff_lzw"),
        "lossless.webp": _encoded("WEBP", "RGBA", lossless=True),
        "rle.tga": _encoded("TGA", compression="tga_rle"),
        **{
            f"a.{name}": _encoded(name)
            for name in ("GIF", "BMP", "TIFF", "WEBP", "AVIF", "JPEG2000", "PPM", "ICO", "PCX")
            + ("SGI", "DDS", "TGA")
        },
    }


def _image(path):
    height, width, _ = images.read_image_bgr(path).shape
    size = images.image_size(path)
    _expect(size == (width, height), f"{size} is not the size of {width} x {height} pixels")


def _sources(folder, name):
    try:
        names = [each.replace("..", "") for each in json.loads(_bytes(folder, name))]
    except (ValueError, TypeError, AttributeError):  # a command line holds texts
        return
    if names:
        find_images([f"{folder}/images/{each}" for each in names])


SOURCE_FILES = {
    "value.json": b'["a.jpg", "", "*.png", "**/*.jpg", "below"]',
    **{f"images/{name}": b"" for name in ("a.jpg", "b.png", "below/c.jpg", "below/d.txt")},
}
IMAGES = {
    "images": Reader(_images, of_path(_image), tests=100),
    "image bombs": Reader(
        lambda: {f"{name}.png": make() for name, make in BOMBS.items()},
        of_path(_image),
        is_valid=False,
    ),
    "image sizes": Reader(_images, of_path(images.image_size), tests=100),
    "image headers": Reader(_images, of_path(header_size), tests=100),
    "image sources": Reader(lambda: SOURCE_FILES, _sources, (".json",), ".value"),
}

# Caches. Whoever forges one can make it say anything possible; damage is noticed.


class OneImage:
    """A data set of one image."""

    def __init__(self, folder):
        self.folder = folder

    def image_path(self, image_index):
        return os.path.join(self.folder, "a.jpg")

    def load_image(self, image_index):
        return np.arange(24, dtype="uint8").reshape(2, 4, 3)


def _image_cache(folder, name):
    data_set = OneImage(folder)
    found = OnDisk(os.path.join(folder, "cache"), limit=1 << 20).get(data_set, 0)
    _expect(np.array_equal(found, data_set.load_image(0)), f"another image: {found}")


def _size_cache(folder, name, is_forged=False):
    paths = [os.path.join(folder, each) for each in CACHED]
    with mock.patch.object(image_sizes, "FEW", 0):
        sizes = image_sizes.read_sizes(paths, os.path.join(folder, "list.txt"))
    _expect(sizes.shape == (3, 2) and (sizes >= 1).all(), f"impossible sizes: {sizes}")
    _expect(is_forged or (sizes == SIZE).all(), f"other sizes: {sizes}")


def _boxes_cache(folder, name):
    expected = {image: boxes for image, boxes in data_sets.IMAGES.items() if boxes}
    found = _walk(folder, "oid")
    _expect(found == expected, f"other boxes: {found}")


def _cache(files, read, end, kind=""):
    return Reader(files, read, (end,), kind, writes_input=True)


SIZE = (data_sets.WIDTH, data_sets.HEIGHT)
CACHED = ("a.jpg", "b.jpg", "c.jpg")


def _cached():
    return {name: _encoded("JPEG") for name in CACHED}


CACHES = {
    "image cache": _cache(_cached, _image_cache, ".pixels", ".bytes"),
    "size cache": _cache(_cached, _size_cache, ".npz", ".bytes"),
    "forged size cache": _cache(
        _cached, lambda folder, name: _size_cache(folder, name, is_forged=True), ".npz"
    ),
    "boxes cache": _cache(lambda: _data_set("oid"), _boxes_cache, ".npz", ".bytes"),
    "forged boxes cache": _cache(
        lambda: _data_set("oid"), lambda folder, name: _walk(folder, "oid"), ".npz"
    ),
}

# Models.


@functools.cache
def _training_model():
    model = build_tiny()
    models.set_info(model, TINY_INFO)
    return model


@functools.cache
def _models():
    """Return a training and an inference model in both formats."""
    training, files = _training_model(), {}
    with tempfile.TemporaryDirectory() as folder:
        for kind, model in (("training", training), ("inference", models.convert_model(training))):
            for name in (f"{kind}.keras", f"{kind}.h5"):
                # Not `save_model`: its checksum would refuse nearly all that is tried here.
                model.save(os.path.join(folder, name))
                files[name] = _bytes(folder, name)
    return files


@functools.cache
def _old_layout():
    """Return the layout of a snapshot of Keras 2, without the weights of most layers."""
    layout = old_snapshots.read_layout("old_training")
    layers = [
        (layer, [weight for weight in weights if "pyramid_classification/" in weight[0]])
        for layer, weights in layout["layers"]
    ]
    return {**layout, "layers": layers}


def _old_model():
    with tempfile.TemporaryDirectory() as folder:
        old_snapshots.write_snapshot(_old_layout(), os.path.join(folder, "old.h5"))
        return {"old.h5": _bytes(folder, "old.h5")}


def _load_with_config(folder, name):
    """Load a model with the configuration in a file."""
    path = os.path.join(folder, "model.keras")
    with (
        zipfile.ZipFile(io.BytesIO(_models()["inference.keras"])) as old,
        zipfile.ZipFile(path, "w") as new,
    ):
        for member in old.namelist():
            content = _bytes(folder, name) if member == "config.json" else old.read(member)
            new.writestr(member, content)
    models.load_model(path)


def _load_with_old_config(folder, name):
    layout, path = _old_layout(), os.path.join(folder, "old.h5")
    attributes = {**layout["attrs"], "model_config": _bytes(folder, name)}
    old_snapshots.write_snapshot({**layout, "attrs": attributes}, path)
    models.load_model(path)


def _config():
    with zipfile.ZipFile(io.BytesIO(_models()["inference.keras"])) as archive:
        return {"value.json": archive.read("config.json")}


def _old_config_of_model():
    return {"value.json": _old_layout()["attrs"]["model_config"].encode()}


def _convert(folder, name):
    convert_file(os.path.join(folder, name), os.path.join(folder, "converted.keras"))


MODELS = {
    "model": Reader(_models, of_path(models.load_model), tests=5),
    "old model": Reader(_old_model, of_path(models.load_model), is_valid=False, tests=3),
    "model config": Reader(_config, _load_with_config, kind=".value", tests=5),
    "old model config": Reader(
        _old_config_of_model, _load_with_old_config, kind=".value", is_valid=False, tests=5
    ),
    "weights": Reader(
        _models, of_path(lambda path: models.load_weights(_training_model(), path)), tests=10
    ),
    "keras2 model": Reader(_models, of_path(is_keras2_file), tests=10),
    "converted model": Reader(_models, _convert, ("training.keras", "training.h5"), tests=3),
}

# Values of JSON, as they are inside models.


def _values(values, read):
    """Return the reader of a JSON value; errors cannot name a file."""
    return Reader(
        lambda: {"value.json": json.dumps(values).encode()},
        lambda folder, name: read(json.loads(_bytes(folder, name))).to_dict(),
        kind=".value",
        names_file=False,
    )


_INFO = TINY_INFO.to_dict()
VALUES = {
    "info": _values(_INFO, ModelInfo.from_dict),
    "anchors": _values(_INFO["anchors"], AnchorParameters.from_dict),
    "coder": _values(_INFO["coder"], coder_from_dict),
    "filter settings": _values(_INFO["filter_settings"], FilterSettings.from_dict),
}

# Checkpoints of other libraries.

TINY = Path(__file__).parent.parent / "data" / "checkpoints"


def _tensors():
    return OrderedDict(
        {
            "conv.weight": np.arange(24, dtype="float32").reshape(2, 3, 2, 2),
            "bn.running_var": np.ones(2),
            "bn.num_batches_tracked": np.array(7),
        }
    )


def _small(write, value):
    """Return the bytes that a function of `tests.checkpoints` writes."""
    with tempfile.TemporaryDirectory() as folder:
        write(value, os.path.join(folder, "a"))
        return _bytes(folder, "a")


def _wrapped():
    meta = {"CLASSES": ("person", "bicycle"), "config": "a = 1", "epoch": 12, "lr": [0.01]}
    return {"meta": meta, "state_dict": _tensors(), "optimizer": {"state": {0: _tensors()}}}


def _checkpoints(write, *names, value=_wrapped):
    """Return a file as a function writes it, and small ones that the originals wrote."""
    return {"small": _small(write, value()), **{name: _bytes(TINY, name) for name in names}}


def _read_checkpoint(path):
    found = read_checkpoint(path)
    limit = max(MIN_TENSOR_BYTES, MAX_TENSOR_EXPANSION * os.path.getsize(path))
    _expect(sum(array.nbytes for array in found.tensors.values()) <= limit, "too large")
    for array in found.tensors.values():
        array.copy()  # would crash if it lay outside the file
    json.dumps(found.meta)  # would not end if it had no bounds


# Steps that a change may move to where they do harm.
HOSTILE_STEPS = [
    "cos\nsystem\n",
    "cbuiltins\neval\n",
    "ctorch._utils\n_rebuild_tensor_v2\n",
    "cnumpy\ndtype\n",
    "c_codecs\nencode\n",
    "ccollections\nOrderedDict\n",
    *("R", "b", "\x81", "Q", "u", "s", "e", "a", "t", ")", "]", "}", "(", "0", "\x94", "N"),
    *("h\0", "h\1", "h\2", "j\xff\xff\xff\xff", "r\xff\xff\xff\xff", "J\xff\xff\xff\xff", "K\0"),
    "\x8e" + "\xff" * 7 + "\x0f",
    "\x8a\xff" + "\x7f" * 255,
    "\x8a\x08\0\0\0\0\0\0\0\x10",
    "X\xff\xff\xff\x7f",
    "]" * 5000,
    ")" + "q\0h\0h\0\x87" * 1000,
]


@functools.cache
def _steps():
    """Return the steps of small pickles, in JSON, where changes hit whole steps."""
    codes = [
        pickled({"model": dict(_tensors()), "by": "x"}, protocol=3),
        _bytes(TINY, "tiny.pkl"),
        *(
            zipfile.ZipFile(io.BytesIO(_bytes(TINY, f"{name}.pth"))).read(f"{name}/data.pkl")
            for name in ("tiny_zip", "tiny_wrapped_zip")
        ),
    ]
    files = {}
    for i, code in enumerate(codes):
        places = [place for _, _, place in pickletools.genops(code)]
        ends = [*places[1:], len(code)]
        steps = [code[start:end].decode("latin1") for start, end in zip(places, ends, strict=True)]
        files[f"{i}.json"] = json.dumps({"steps": steps, "others": HOSTILE_STEPS}).encode()
    return files


def _texts(tree):
    """Yield the texts in a tree of lists and dictionaries."""
    if isinstance(tree, str):
        yield tree
    for each in tree.values() if isinstance(tree, dict) else tree if isinstance(tree, list) else ():
        yield from _texts(each)


def _read_steps(folder, name):
    """Read a pickle of steps, by itself and beside the storages of an archive."""
    try:
        tree = json.loads(_bytes(folder, name))
    except ValueError:  # a change broke the JSON, which only carries the steps
        return
    steps = "".join(_texts(tree.get("steps") if isinstance(tree, dict) else tree))
    code = steps.encode("latin1", errors="replace")
    path = os.path.join(folder, "made.pth")
    if name in ("0.json", "1.json"):
        Path(path).write_bytes(code)
    else:
        with (
            zipfile.ZipFile(TINY / "tiny_wrapped_zip.pth") as old,
            zipfile.ZipFile(path, "w") as new,
        ):
            for member in old.namelist():
                is_code = member.endswith("/data.pkl")
                new.writestr(member, code if is_code else old.read(member))
    _read_checkpoint(path)


def _safetensors_header():
    data = _small(write_safetensors, _tensors())
    return {"value.json": data[8 : 8 + int.from_bytes(data[:8], "little")]}


def _read_safetensors_header(folder, name):
    """Read a `.safetensors` file with the header in a file."""
    header, path = _bytes(folder, name), os.path.join(folder, "made.safetensors")
    values = b"".join(array.tobytes() for array in _tensors().values())
    Path(path).write_bytes(len(header).to_bytes(8, "little") + header + values)
    _read_checkpoint(path)


CHECKPOINTS = {
    "torch zip": Reader(
        lambda: _checkpoints(write_zip, "tiny_zip.pth", "tiny_wrapped_zip.pth"),
        of_path(_read_checkpoint),
        kind=".keras",
    ),
    "torch legacy": Reader(
        lambda: _checkpoints(write_legacy, "tiny_legacy.pth", "tiny_wrapped_legacy.pth"),
        of_path(_read_checkpoint),
        kind=".bytes",
    ),
    "numpy pickle": Reader(
        lambda: _checkpoints(write_pkl, "tiny.pkl"),
        of_path(_read_checkpoint),
        kind=".bytes",
    ),
    "safetensors": Reader(
        lambda: _checkpoints(write_safetensors, value=_tensors),
        of_path(_read_checkpoint),
        kind=".bytes",
    ),
    "pickle steps": Reader(_steps, _read_steps, kind=".value"),
    "safetensors header": Reader(_safetensors_header, _read_safetensors_header, kind=".value"),
}

READERS = {**TEXTS, **IMAGES, **CACHES, **VALUES, **MODELS, **CHECKPOINTS}
