"""The table of data sets that train, evaluate and debug share: name -> options and readers."""

import argparse
from collections.abc import Callable
from dataclasses import dataclass

from keras_retinanet.annotations.open_images_layouts import LAYOUTS


@dataclass(frozen=True)
class Dataset:
    """How one kind of data set is named on the command line and opened.

    Attributes:
        help: one line for `--help`.
        add_arguments: adds the data set's own arguments to its subparser; told the command.
        open: options, whether to train, and `Generator` arguments -> the generator to train on or
            the one to evaluate on (for debug: to look at); None if there is none to evaluate on.
    """

    help: str
    add_arguments: Callable
    open: Callable


def add_dataset_parsers(parser, parents, command, extra_positionals=()):
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


def open_training(options, **arguments):
    """Return the training generator that the parsed options name."""
    return DATASETS[options.dataset_type].open(options, True, arguments)


def open_validation(options, **arguments):
    """Return the generator to evaluate on, or to look at, that the options name, or None."""
    return DATASETS[options.dataset_type].open(options, False, arguments)


def _coco_arguments(parser, command):
    parser.add_argument(
        "coco_path", help="folder with annotations/instances_SET.json and images/SET/"
    )
    if command == "debug":
        parser.add_argument("--coco-set", default="val2017", help="the set to look at")


def _open_coco(options, train, arguments):
    from keras_retinanet.preprocessing.coco import CocoGenerator

    set_name = "train2017" if train else getattr(options, "coco_set", "val2017")
    return CocoGenerator(options.coco_path, set_name, **arguments)


def _csv_arguments(parser, command):
    parser.add_argument("annotations", help="CSV file of rows path,x1,y1,x2,y2,class_name")
    parser.add_argument("classes", help="CSV file of rows class_name,id")
    if command == "train":
        parser.add_argument("--val-annotations", help="CSV file to evaluate on after each epoch")


def _open_csv(options, train, arguments):
    from keras_retinanet.preprocessing.csv_generator import CSVGenerator

    annotations = options.annotations
    if not train:
        # Only train has --val-annotations; the others name one file.
        annotations = getattr(options, "val_annotations", annotations)
    return CSVGenerator(annotations, options.classes, **arguments) if annotations else None


def _pascal_arguments(parser, command):
    parser.add_argument(
        "pascal_path", help="folder with ImageSets/Main/, Annotations/ and JPEGImages/"
    )
    parser.add_argument("--image-extension", default=".jpg", help="how image files end")
    parser.add_argument("--classes", help="CSV file of rows class_name,id; else the 20 of VOC")
    parser.add_argument("--skip-truncated", action="store_true", help="leave out cut-off objects")
    parser.add_argument("--skip-difficult", action="store_true", help="leave out difficult objects")
    if command == "train":
        parser.add_argument("--pascal-set", default="train", help="the set to train on")
        parser.add_argument("--pascal-val-set", default="val", help="the set to evaluate on")
    else:
        parser.add_argument("--pascal-set", default="test", help="the set")


def _open_pascal(options, train, arguments):
    from keras_retinanet.preprocessing.csv_generator import read_classes
    from keras_retinanet.preprocessing.pascal_voc import PascalVocGenerator

    if options.classes:
        arguments = {**arguments, "classes": read_classes(options.classes)}
    return PascalVocGenerator(
        options.pascal_path,
        options.pascal_set if train else getattr(options, "pascal_val_set", options.pascal_set),
        image_extension=options.image_extension,
        skip_truncated=options.skip_truncated,
        skip_difficult=options.skip_difficult,
        **arguments,
    )


def _kitti_arguments(parser, command):
    parser.add_argument("kitti_path", help="folder with {train,val}/{labels,images}/")
    if command == "debug":
        parser.add_argument("subset", help="the folder to look at: train or val")


def _open_kitti(options, train, arguments):
    from keras_retinanet.preprocessing.kitti import KittiGenerator

    subset = "train" if train else getattr(options, "subset", "val")
    return KittiGenerator(options.kitti_path, subset, **arguments)


def _oid_arguments(parser, command):
    parser.add_argument("main_dir", help="folder of Open Images")
    if command == "debug":
        parser.add_argument("subset", help="the one to look at: train, validation or test")
    parser.add_argument("--version", default="v4", choices=list(LAYOUTS), help="of Open Images")
    parser.add_argument(
        "--labels-filter",
        type=lambda text: text.split(","),
        help="names of the classes to use, separated by commas",
    )
    parser.add_argument("--parent-label", help="use this class and all below it")
    parser.add_argument(
        "--annotation-cache-dir", default=".", help="folder where boxes and sizes are kept"
    )


def _open_oid(options, train, arguments):
    from keras_retinanet.preprocessing.open_images import OpenImagesGenerator

    return OpenImagesGenerator(
        options.main_dir,
        "train" if train else getattr(options, "subset", "validation"),
        version=options.version,
        labels_filter=options.labels_filter,
        annotation_cache_dir=options.annotation_cache_dir,
        parent_label=options.parent_label,
        **arguments,
    )


def _yolo_arguments(parser, command):
    parser.add_argument("data", help="data.yaml, or its folder")
    if command == "debug":
        parser.add_argument(
            "--yolo-set", default="train", choices=["train", "val", "test"], help="the set"
        )


def _open_yolo(options, train, arguments):
    from keras_retinanet.preprocessing.yolo import YoloGenerator

    set_name = "train" if train else getattr(options, "yolo_set", "val")
    return YoloGenerator(options.data, set_name, **arguments)


def _shapes_arguments(parser, command):
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


def _open_shapes(options, train, arguments):
    from keras_retinanet.preprocessing.shapes.dataset import ShapesGenerator

    set_name = "train" if train else getattr(options, "shapes_set", "val")
    return ShapesGenerator(set_name, **arguments)


DATASETS = {
    "coco": Dataset(
        "images and boxes in COCO form: train2017 to train on, val2017 to evaluate on",
        _coco_arguments,
        _open_coco,
    ),
    "csv": Dataset("images and boxes listed in a CSV file", _csv_arguments, _open_csv),
    "pascal": Dataset("images and boxes in PASCAL VOC form", _pascal_arguments, _open_pascal),
    "kitti": Dataset(
        "images and boxes in KITTI form: train to train on, val to evaluate on",
        _kitti_arguments,
        _open_kitti,
    ),
    "oid": Dataset(
        "images and boxes of Open Images: train to train on, validation to evaluate on",
        _oid_arguments,
        _open_oid,
    ),
    "yolo": Dataset(
        "images and boxes in YOLO form: train to train on, val to evaluate on",
        _yolo_arguments,
        _open_yolo,
    ),
    "shapes": Dataset(
        "a built-in data set of drawn shapes, to see everything work without files",
        _shapes_arguments,
        _open_shapes,
    ),
}
