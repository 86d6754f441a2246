"""The table of data sets that train, evaluate and debug share: name -> options -> data."""

from __future__ import annotations

import argparse
import os
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from keras_retinanet.annotations.image_lists import ImageListError, read_image_list
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
from keras_retinanet.system.messages import describe_classes, shorten

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


def parse(
    parser: argparse.ArgumentParser,
    args: Sequence[str] | None,
    command: str,
    extra_positionals: Sequence[str] = (),
) -> argparse.Namespace:
    """Return the parsed options; those of `auto` are those of the command it stands for.

    Args:
        parser: the command's parser, with the subparsers of `add_dataset_parsers`.
        args: command line arguments; None for those of the program.
        command: "train", "evaluate" or "debug".
        extra_positionals: names of the arguments after the data set's own.

    Raises:
        OSError: if there is nothing at the path of `auto`.
        ValueError: if it is of no form, or of several.
    """
    options = parser.parse_args(args)
    if options.dataset_type != AUTO:
        return options
    words = _recognised_words(options.path, command)
    print(f"read as: {shlex.join(words)}")
    meant = parser.parse_args([*words, *(getattr(options, name) for name in extra_positionals)])
    given = {
        name: value for name, value in vars(options).items() if name not in ("dataset_type", "path")
    }
    return argparse.Namespace(**{**vars(meant), **given})


def _recognised_words(path: str, command: str) -> list[str]:
    """Return the words of a command line that name the data set at a path.

    Raises:
        OSError: if there is nothing at the path.
        ValueError: if it is of no form, or of several.
    """
    from keras_retinanet.preprocessing.recognise import recognise

    lines = [_words(data, command) for data in recognise(path)]
    if len(lines) == 1:
        return lines[0]
    if lines:
        forms = " or ".join(f"'{shorten(shlex.join(words), 200)}'" for words in lines)
        raise ValueError(f"{path}: more than one form fits, name the one to use: {forms}")
    try:
        inside = ", ".join(sorted(os.listdir(path))) or "nothing"
    except NotADirectoryError:
        inside = "a file"
    names = ", ".join(name for name in DATASETS if name not in (AUTO, "shapes"))
    raise ValueError(
        f"{path}: expected a data set of one of the forms {names}, found {shorten(inside, 80)}"
    )


def _words(data: TrainingData, command: str) -> list[str]:
    """Return the words of a command line that name some data, which `recognise` returned."""
    words = [data.name]
    if isinstance(data, CSVData):
        held_out = data.val_annotations
        is_training = command == "train"
        words.append(str(data.annotations if is_training or held_out is None else held_out))
        words.append(str(data.classes))
        if is_training and held_out is not None:
            words += ["--val-annotations", str(held_out)]
    elif isinstance(data, (CocoData, PascalData, KittiData, OpenImagesData, YoloData)):
        words.append(str(data.path))
    if isinstance(data, OpenImagesData):
        if command == "debug":
            sets = data.set_names()
            words.append("validation" if "validation" in sets else "train")
        words += ["--version", data.version]
    return words


def named_data(options: argparse.Namespace) -> TrainingData:
    """Return the data that parsed options name; nothing is read."""
    return DATASETS[options.dataset_type].data(options)


def open_validation(options: argparse.Namespace, **arguments: Any) -> Generator | None:
    """Return the generator to evaluate on, or to look at, that the options name, or None."""
    return named_data(options).open_validation(**arguments)


def add_image_list(group: argparse._ActionsContainer) -> None:
    """Add the option for the images to use."""
    group.add_argument(
        "--image-list",
        metavar="FILE",
        help="use only the images in a file with a path in each line, such as the val-images.txt "
        "of a training with --val-share",
    )


def open_one(
    options: argparse.Namespace,
    known_classes: Mapping[str, int] | None = None,
    **arguments: Any,
) -> Generator:
    """Return the data set for a command that reads one set only, restricted to `--image-list`.

    That is the set to evaluate on, or, with a line that says so, the set to train on: if there is
    no other, or if no set was named and the images of the list are in that one.

    Args:
        options: the parsed options.
        known_classes: class name -> label of the model, for formats whose class names are found in
            the files; None to find and print them.
        **arguments: for `Generator`.
    """
    data = named_data(options)
    path = getattr(options, "image_list", None)
    if path is not None:
        arguments["image_list"] = read_image_list(path)
    try:
        generator, why = None, "No set to evaluate on"
        try:
            generator = data.open_validation(known_classes=known_classes, **arguments)
        except ImageListError:
            if getattr(data, "val_set", None) is not None:
                raise
            why = "The set to evaluate on has not all images of the list"
        if generator is None:
            print(f"{why}: this is {data.training_source()}")
            if isinstance(data, PascalData):  # whose set to evaluate on leaves them out by itself
                arguments["skip_unknown"] = True
            generator = data.open_training(known_classes=known_classes, **arguments)
    except ImageListError as error:
        raise ImageListError(f"{path}: {error}") from None
    if known_classes is None and getattr(generator, "found_classes", False):
        print(f"Classes found: {describe_classes(generator.classes)}")
    return generator


def _coco_arguments(parser: argparse.ArgumentParser, command: str) -> None:
    parser.add_argument(
        "coco_path",
        help="folder with annotations/instances_SET.json or SET/_annotations.coco.json, or a JSON "
        "file in COCO form",
    )
    parser.add_argument(
        "--images",
        metavar="DIR",
        help="folder of the images (default: found beside the annotations)",
    )
    if command == "train":
        parser.add_argument(
            "--coco-set", help="the set to train on (default: train2017, train, or the only one)"
        )
        parser.add_argument(
            "--coco-val-set",
            help="the set to evaluate on, or a JSON file (default: val2017, val, valid or "
            "validation, if there is one)",
        )
    else:
        parser.add_argument(
            "--coco-set",
            "--coco-val-set",
            help="the set (default: val2017, val, valid or validation, or the only one there is)",
        )


def _coco_data(options: argparse.Namespace) -> CocoData:
    sets = (
        {"train_set": options.coco_set, "val_set": options.coco_val_set}
        if hasattr(options, "coco_val_set")
        else {"val_set": options.coco_set}
    )
    return CocoData(options.coco_path, images=options.images, **sets)


def _csv_arguments(parser: argparse.ArgumentParser, command: str) -> None:
    parser.add_argument(
        "annotations",
        help="CSV file of rows path,x1,y1,x2,y2,class_name, or with a header of column names",
    )
    parser.add_argument(
        "classes",
        help="CSV file of rows class_name,id, or of one name per line; - finds the classes",
    )
    if command == "train":
        parser.add_argument("--val-annotations", help="CSV file to evaluate on after each epoch")
    parser.add_argument(
        "--base-dir",
        metavar="DIR",
        help="where relative paths of images start (default: the folder of the CSV file)",
    )


def _csv_data(options: argparse.Namespace) -> CSVData:
    # Only train has --val-annotations; the others name one file.
    held_out = getattr(options, "val_annotations", options.annotations)
    return CSVData(options.annotations, options.classes, held_out, options.base_dir)


def _pascal_arguments(parser: argparse.ArgumentParser, command: str) -> None:
    parser.add_argument(
        "pascal_path",
        help="folder with ImageSets/Main/, Annotations/ and JPEGImages/, or with XML files in it",
    )
    parser.add_argument(
        "--image-extension",
        help="extension of the image files, such as .jpg, tried before the usual ones",
    )
    parser.add_argument(
        "--classes",
        help="CSV file of rows class_name,id (default: classes.txt, labels.txt or labelmap.txt in "
        "the folder, or the 20 classes of VOC, or the names in the files)",
    )
    parser.add_argument("--skip-truncated", action="store_true", help="leave out truncated objects")
    parser.add_argument("--skip-difficult", action="store_true", help="leave out difficult objects")
    if command == "train":
        parser.add_argument("--pascal-set", help="the set to train on (default: train)")
        parser.add_argument(
            "--pascal-val-set", help="the set to evaluate on (default: val, if there is one)"
        )
    else:
        parser.add_argument(
            "--pascal-set", help="the set (default: test, or val, or the only one there is)"
        )


def _pascal_data(options: argparse.Namespace) -> PascalData:
    return PascalData(
        options.pascal_path,
        options.pascal_set,
        getattr(options, "pascal_val_set", options.pascal_set),
        classes=options.classes,
        image_extension=options.image_extension,
        skip_truncated=options.skip_truncated,
        skip_difficult=options.skip_difficult,
        is_evaluated=not hasattr(options, "pascal_val_set"),
    )


def _kitti_arguments(parser: argparse.ArgumentParser, command: str) -> None:
    parser.add_argument(
        "kitti_path",
        help="folder with {train,val}/{labels,images}/ or training/{label_2,image_2}/",
    )
    if command == "debug":
        parser.add_argument(
            "subset",
            nargs="?",
            help="the folder to look at, such as train (default: val, or the only one there is)",
        )


def _kitti_data(options: argparse.Namespace) -> KittiData:
    return KittiData(options.kitti_path, val_set=getattr(options, "subset", None))


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
        val_set=getattr(options, "subset", None),
    )


def _yolo_arguments(parser: argparse.ArgumentParser, command: str) -> None:
    parser.add_argument(
        "data", help="data.yaml, or its folder, or a folder with classes.txt, obj.names or obj.data"
    )
    if command != "train":
        # Debug has always shown what is trained on; evaluate has a set for it.
        usual = "train" if command == "debug" else "val"
        parser.add_argument(
            "--yolo-set",
            choices=["train", "val", "test"],
            help=f"the set (default: {usual}, or the only one there is)",
        )
        parser.set_defaults(usual_yolo_set=usual)


def _yolo_data(options: argparse.Namespace) -> YoloData:
    if not hasattr(options, "yolo_set"):
        return YoloData(options.data)
    data = YoloData(options.data, val_set=options.yolo_set)
    if options.yolo_set is None and options.usual_yolo_set in data.set_names():
        return replace(data, val_set=options.usual_yolo_set)
    return data


def _auto_arguments(parser: argparse.ArgumentParser, command: str) -> None:
    parser.add_argument("path", help="folder or file of a data set of any of these forms")


def _auto_data(options: argparse.Namespace) -> TrainingData:
    raise AssertionError("`parse` replaces auto by what it stands for")


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
    return ShapesData(val_set=getattr(options, "shapes_set", None))


AUTO = "auto"
DATASETS = {
    AUTO: Dataset(
        "a data set of any of the forms below, recognised by its files",
        _auto_arguments,
        _auto_data,
    ),
    "coco": Dataset(
        "images and boxes in COCO form: a folder, or a JSON file",
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
