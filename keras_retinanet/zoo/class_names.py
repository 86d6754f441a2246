"""The names of the classes of COCO and of Open Images, which old snapshots do not hold."""

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

# The ids from 0 to 90 that are no class.
_NO_CLASS = (0, 12, 26, 29, 30, 45, 66, 68, 69, 71, 83)


def _read(file_name: str) -> tuple[str, ...]:
    text = Path(__file__).with_name(file_name).read_text(encoding="utf-8")
    return tuple(text.splitlines())


# In the order of COCO's ids.
COCO: tuple[str, ...] = _read("coco_80.txt")


def _by_id() -> tuple[str | None, ...]:
    names = iter(COCO)
    return tuple(None if ident in _NO_CLASS else next(names) for ident in range(91))


# The name of each of COCO's ids, as torchvision numbers its outputs.
COCO_91: tuple[str | None, ...] = _by_id()
# The classes of the challenge of 2018, in the order of the outputs of the snapshots that
# keras-retinanet published: classes without others below them, sorted by name, and then those with
# others below them, level by level. The file of the challenge has another order.
# https://github.com/ZFTurbo/Keras-RetinaNet-for-Open-Images-Challenge-2018, where they were trained
OPEN_IMAGES_500: tuple[str, ...] = _read("open_images_500.txt")
# The classes with boxes of version 4, in the order of its file class-descriptions-boxable.csv.
OPEN_IMAGES_601: tuple[str, ...] = _read("open_images_601.txt")

# Number of outputs -> the data set whose classes they likely are.
DATA_SETS: Mapping[int, str] = MappingProxyType(
    {80: "COCO", 91: "COCO", 500: "Open Images", 601: "Open Images"}
)
_NAMES: Mapping[int, tuple[str | None, ...]] = MappingProxyType(
    {80: COCO, 91: COCO_91, 500: OPEN_IMAGES_500, 601: OPEN_IMAGES_601}
)
# What Pascal VOC calls six of COCO's classes.
_OLD_NAMES: Mapping[str, str] = MappingProxyType(
    {
        "aeroplane": "airplane",
        "diningtable": "dining table",
        "motorbike": "motorcycle",
        "pottedplant": "potted plant",
        "sofa": "couch",
        "tvmonitor": "tv",
    }
)


def names_for(count: int) -> tuple[str | None, ...] | None:
    """Return the likely names of the outputs of a model that does not name them.

    Args:
        count: number of outputs, a key of `DATA_SETS`.

    Returns:
        The name of each output, None for one without a class; None for another number.
    """
    return _NAMES.get(count)


def canonical(name: str) -> str:
    """Return a class name as it is compared with others.

    Case, hyphens and underscores do not count, and Pascal VOC's words for six of COCO's classes are
    COCO's: "Traffic_light" and "traffic light" are one class, "tvmonitor" and "tv" another.
    """
    key = " ".join(name.casefold().replace("_", " ").replace("-", " ").split())
    return _OLD_NAMES.get(key, key)


def with_other_spellings(classes: Mapping[str, int]) -> dict[str, int]:
    """Return classes under all usual spellings of their names: name -> label.

    "traffic light" is also "traffic_light", and "tv" is Pascal VOC's "tvmonitor" too. A spelling
    that is the name of another class stays so. The names themselves come last, so that they are
    those that a data set shows.

    Args:
        classes: class name -> label.
    """
    old_names = {name: old for old, name in _OLD_NAMES.items()}
    others: dict[str, int] = {}
    for name, label in classes.items():
        for spelling in (name.replace(" ", "_"), old_names.get(name, name)):
            others.setdefault(spelling, label)
    return {**{name: label for name, label in others.items() if name not in classes}, **classes}
