"""The table of data sets that train and evaluate share: name -> options and readers."""

import argparse
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Dataset:
    """How one kind of data set is named on the command line and opened.

    Attributes:
        help: one line for `--help`.
        add_arguments: adds the data set's own arguments to its subparser; told the command.
        open_training: options and `Generator` arguments -> training generator.
        open_validation: options and `Generator` arguments -> generator, or None if there is none.
    """

    help: str
    add_arguments: Callable
    open_training: Callable
    open_validation: Callable


def add_dataset_parsers(parser, parents, command, extra_positionals=()):
    """Add a subparser for each data set.

    Args:
        parser: the command's parser.
        parents: parsers whose options each subparser takes too.
        command: "train" or "evaluate".
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
    return DATASETS[options.dataset_type].open_training(options, **arguments)


def open_validation(options, **arguments):
    """Return the generator to evaluate on that the parsed options name, or None."""
    return DATASETS[options.dataset_type].open_validation(options, **arguments)


def _coco_arguments(parser, command):
    parser.add_argument(
        "coco_path", help="folder with annotations/instances_SET.json and images/SET/"
    )


def _open_coco(set_name):
    def open_set(options, **arguments):
        from keras_retinanet.preprocessing.coco import CocoGenerator

        return CocoGenerator(options.coco_path, set_name, **arguments)

    return open_set


def _csv_arguments(parser, command):
    parser.add_argument("annotations", help="CSV file of rows path,x1,y1,x2,y2,class_name")
    parser.add_argument("classes", help="CSV file of rows class_name,id")
    if command == "train":
        parser.add_argument("--val-annotations", help="CSV file to evaluate on after each epoch")


def _open_csv(options, **arguments):
    from keras_retinanet.preprocessing.csv_generator import CSVGenerator

    return CSVGenerator(options.annotations, options.classes, **arguments)


def _open_csv_validation(options, **arguments):
    # Only train has --val-annotations; evaluate names the file to evaluate on as its annotations.
    annotations = getattr(options, "val_annotations", options.annotations)
    if annotations is None:
        return None
    validation = argparse.Namespace(annotations=annotations, classes=options.classes)
    return _open_csv(validation, **arguments)


def _shapes_arguments(parser, command):
    if command == "train":
        parser.add_argument(
            "--export",
            metavar="DIR",
            help="write the data set to DIR in COCO and CSV form instead of training",
        )


def _open_shapes(set_name):
    def open_set(options, **arguments):
        from keras_retinanet.preprocessing.shapes import ShapesGenerator

        return ShapesGenerator(set_name, **arguments)

    return open_set


DATASETS = {
    "coco": Dataset(
        "images and boxes in COCO form: train2017 to train on, val2017 to evaluate on",
        _coco_arguments,
        _open_coco("train2017"),
        _open_coco("val2017"),
    ),
    "csv": Dataset(
        "images and boxes listed in a CSV file",
        _csv_arguments,
        _open_csv,
        _open_csv_validation,
    ),
    "shapes": Dataset(
        "a built-in data set of drawn shapes, to see everything work without files",
        _shapes_arguments,
        _open_shapes("train"),
        _open_shapes("val"),
    ),
}
