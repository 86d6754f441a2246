"""The table of data sets that train, evaluate and debug share: name -> options -> data."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from keras_retinanet.annotations.open_images_layouts import LAYOUTS
from keras_retinanet.preprocessing.data import (
    CocoData,
    CSVData,
    KittiData,
    OpenImagesData,
    PascalData,
    ShapesData,
    TrainingData,
    YoloData,
)

if TYPE_CHECKING:
    from keras_retinanet.preprocessing.generator import Generator


@dataclass(frozen=True)
class Dataset:
    """How one format is named on the command line.

    Attributes:
        help: one line for `--help`.
        add_arguments: adds the format's own arguments to its subparser; gets the command.
        data: parsed options -> the data they name. Where a command opens one set only, as evaluate
            and debug do, that is the set to evaluate on.
    """

    help: str
    add_arguments: Callable[[argparse.ArgumentParser, str], None]
    data: Callable[[argparse.Namespace], TrainingData]


def add_dataset_parsers(
    parser: argparse.ArgumentParser,
    parents: Sequence[argparse.ArgumentParser],
    command: str,
    extra_positionals: Sequence[tuple[str, str]] = (),
) -> None:
    """Add a subparser for each data set.

    Args:
        parser: the command's parser.
        parents: parsers whose options each subparser takes too.
        command: "train", "evaluate" or "debug".
        extra_positionals: `(name, help)` of positional arguments after the data set's own.
    """
    subparsers = parser.add_subparsers(
        dest="dataset_type", required=True, metavar="DATASET", title="data sets"
    )
    for name, dataset in DATASETS.items():
        subparser = subparsers.add_parser(
            name,
            help=dataset.help,
            description=dataset.help,
            parents=parents,
            formatter_class=argparse.ArgumentDefaultsHelpFormatter,
        )
        dataset.add_arguments(subparser, command)
        for argument, text in extra_positionals:
            subparser.add_argument(argument, help=text)


def named_data(options: argparse.Namespace) -> TrainingData:
    """Return the data that parsed options name; nothing is read."""
    return DATASETS[options.dataset_type].data(options)


def open_validation(options: argparse.Namespace, **arguments: Any) -> Generator | None:
    """Return the generator to evaluate on, or to look at, that the options name, or None."""
    return named_data(options).open_validation(**arguments)


def _coco_arguments(parser: argparse.ArgumentParser, command: str) -> None:
    parser.add_argument(
        "coco_path", help="folder with annotations/instances_SET.json and images/SET/"
    )
    if command == "debug":
        parser.add_argument("--coco-set", default="val2017", help="the set to look at")


def _coco_data(options: argparse.Namespace) -> CocoData:
    return CocoData(options.coco_path, val_set=getattr(options, "coco_set", "val2017"))


def _csv_arguments(parser: argparse.ArgumentParser, command: str) -> None:
    parser.add_argument("annotations", help="CSV file of rows path,x1,y1,x2,y2,class_name")
    parser.add_argument("classes", help="CSV file of rows class_name,id")
    if command == "train":
        parser.add_argument("--val-annotations", help="CSV file to evaluate on after each epoch")


def _csv_data(options: argparse.Namespace) -> CSVData:
    # Only train has --val-annotations; the others name one file.
    held_out = getattr(options, "val_annotations", options.annotations)
    return CSVData(options.annotations, options.classes, held_out)


def _pascal_arguments(parser: argparse.ArgumentParser, command: str) -> None:
    parser.add_argument(
        "pascal_path", help="folder with ImageSets/Main/, Annotations/ and JPEGImages/"
    )
    parser.add_argument(
        "--image-extension",
        help="extension of the image files, such as .jpg, tried before the usual ones",
    )
    parser.add_argument(
        "--classes", help="CSV file of rows class_name,id (default: the 20 classes of VOC)"
    )
    parser.add_argument("--skip-truncated", action="store_true", help="leave out truncated objects")
    parser.add_argument("--skip-difficult", action="store_true", help="leave out difficult objects")
    if command == "train":
        parser.add_argument("--pascal-set", default="train", help="the set to train on")
        parser.add_argument("--pascal-val-set", default="val", help="the set to evaluate on")
    else:
        parser.add_argument("--pascal-set", default="test", help="the set")


def _pascal_data(options: argparse.Namespace) -> PascalData:
    return PascalData(
        options.pascal_path,
        options.pascal_set,
        getattr(options, "pascal_val_set", options.pascal_set),
        classes=options.classes,
        image_extension=options.image_extension,
        skip_truncated=options.skip_truncated,
        skip_difficult=options.skip_difficult,
    )


def _kitti_arguments(parser: argparse.ArgumentParser, command: str) -> None:
    parser.add_argument("kitti_path", help="folder with {train,val}/{labels,images}/")
    if command == "debug":
        parser.add_argument("subset", help="the folder to look at: train or val")


def _kitti_data(options: argparse.Namespace) -> KittiData:
    return KittiData(options.kitti_path, val_set=getattr(options, "subset", "val"))


def _oid_arguments(parser: argparse.ArgumentParser, command: str) -> None:
    parser.add_argument("main_dir", help="folder of Open Images")
    if command == "debug":
        parser.add_argument("subset", help="the one to look at: train, validation or test")
    parser.add_argument("--version", default="v4", choices=list(LAYOUTS), help="of Open Images")
    parser.add_argument(
        "--labels-filter",
        type=lambda text: [name.strip() for name in text.split(",")],
        help="names of the classes to use, separated by commas",
    )
    parser.add_argument("--parent-label", help="use this class and all classes below it")
    parser.add_argument(
        "--annotation-cache-dir", default=".", help="folder where boxes and sizes are cached"
    )


def _oid_data(options: argparse.Namespace) -> OpenImagesData:
    return OpenImagesData(
        options.main_dir,
        version=options.version,
        labels_filter=options.labels_filter,
        parent_label=options.parent_label,
        annotation_cache_dir=options.annotation_cache_dir,
        val_set=getattr(options, "subset", "validation"),
    )


def _yolo_arguments(parser: argparse.ArgumentParser, command: str) -> None:
    parser.add_argument("data", help="data.yaml, or its folder")
    if command == "debug":
        parser.add_argument(
            "--yolo-set", default="train", choices=["train", "val", "test"], help="the set"
        )


def _yolo_data(options: argparse.Namespace) -> YoloData:
    return YoloData(options.data, val_set=getattr(options, "yolo_set", "val"))


def _shapes_arguments(parser: argparse.ArgumentParser, command: str) -> None:
    if command == "train":
        parser.add_argument(
            "--export",
            metavar="DIR",
            help="write the data set to DIR in COCO and CSV form instead of training",
        )
    if command == "debug":
        parser.add_argument(
            "--shapes-set", default="train", choices=["train", "val"], help="the set"
        )


def _shapes_data(options: argparse.Namespace) -> ShapesData:
    return ShapesData(val_set=getattr(options, "shapes_set", "val"))


DATASETS = {
    "coco": Dataset(
        "images and boxes in COCO form: train2017 to train on, val2017 to evaluate on",
        _coco_arguments,
        _coco_data,
    ),
    "csv": Dataset("images and boxes listed in a CSV file", _csv_arguments, _csv_data),
    "pascal": Dataset("images and boxes in PASCAL VOC form", _pascal_arguments, _pascal_data),
    "kitti": Dataset(
        "images and boxes in KITTI form: train to train on, val to evaluate on",
        _kitti_arguments,
        _kitti_data,
    ),
    "oid": Dataset(
        "images and boxes of Open Images: train to train on, validation to evaluate on",
        _oid_arguments,
        _oid_data,
    ),
    "yolo": Dataset(
        "images and boxes in YOLO form: train to train on, val to evaluate on",
        _yolo_arguments,
        _yolo_data,
    ),
    "shapes": Dataset(
        "a built-in data set of drawn shapes, to try everything without files",
        _shapes_arguments,
        _shapes_data,
    ),
}
