"""Divide the images of a data set into those to train on and those to evaluate on."""

import posixpath
import re
from collections import Counter, defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

import numpy as np

# Words that cameras, tools and data sets begin all their names with: what follows is the number of
# an image, not of a frame.
_USUAL_WORDS = frozenset(
    {
        *("image", "img", "imgp", "cimg", "kimg", "pic", "picture", "photo", "pxl", "dsc", "dscn"),
        *("dscf", "dcim", "dcp", "sam", "gopr", "p", "screenshot", "scan", "sample", "data"),
        *("dataset", "file", "object", "train", "training", "val", "valid", "validation", "test"),
        *("coco", "voc", "jpeg"),
    }
)
_YEAR = re.compile(r"(19|20)\d\d")
# A frame: what comes before its number, such as `NAME_0001`, `name_frame12`, `clip (3)`.
_FRAME = re.compile(r"(?P<prefix>.*?)\(?(?P<number>\d{1,18})\)?", re.DOTALL)
# What Roboflow adds to the name of each copy that it makes of an image: `NAME_jpg.rf.HASH.jpg`.
_COPY = re.compile(r"\.rf\.[^/]*$")
_COPIED_SUFFIX = re.compile(r"_(jpe?g|png|bmp|gif|webp|tiff?)$", re.IGNORECASE)
_WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|[^\W\d_]+")

# A sequence has this many images or more.
MIN_FRAMES = 3
# A sequence may hold this many times the images to hold out, and still be held out in one piece.
MAX_EXCESS = 1.5
# A longer one is cut so that about this many blocks are held out.
BLOCKS = 10


@dataclass(frozen=True)
class Groups:
    """Which images stay on one side.

    Attributes:
        indices: the images of each group.
        in_training: indices of groups that are too large to be held out.
        sequences: number of sequences of frames that stay in one piece.
        cut: name -> number of images, of each sequence that was cut into blocks.
        block: maximum number of images in a block.
    """

    indices: list[list[int]]
    in_training: frozenset[int] = frozenset()
    sequences: int = 0
    cut: dict[str, int] = field(default_factory=dict)
    block: int = 0

    def describe(self) -> str:
        """Return what was kept together and what was cut, in words; "" for nothing."""
        parts = []
        if self.sequences:
            s = "" if self.sequences == 1 else "s"
            parts.append(f"{self.sequences} sequence{s} of frames kept together")
        if self.cut:
            first, *_ = self.cut
            others = f" and {len(self.cut) - 1} more" if len(self.cut) > 1 else ""
            parts.append(
                f"{first}*{others} too long to be held out in one piece: cut into blocks of "
                f"{self.block} consecutive images"
            )
        return "; ".join(parts)


def hold_out(labels: Sequence[np.ndarray], groups: Groups, share: float, seed: int) -> np.ndarray:
    """Return a mask of the images to hold out, `(images,)`.

    The groups are dealt out one by one, those with the rarest class first, each to the side where
    it leaves the counts nearer to the share: those of the boxes of each of its classes, and that of
    images. What counts of a deviation is its square, as a fraction, times the number of groups with
    the class: a few boxes off matter for a rare class, a few in a hundred for a common one. So the
    images of common classes, which come last, make up for what the rare ones have
    left uneven: the idea of iterative stratification (Sechidis et al., "On the stratification of
    multi-label data", 2011), with counts of boxes and for groups. Images without boxes count as a
    class of their own. Both sides get an image.

    Args:
        labels: the label of each box of each image.
        groups: which images stay on one side, in an order that does not depend on the disk.
        share: of the images to hold out, between 0 and 1.
        seed: what the order within a class follows from.

    Raises:
        ValueError: if there are fewer than two groups.
    """
    if len(groups.indices) < 2:
        raise ValueError(
            f"expected two images or more that are not copies of each other, got "
            f"{len(groups.indices)}"
        )
    content = [_count(labels, group) for group in groups.indices]
    totals, spread = Counter[int](), Counter[int]()  # all of a label, and the groups that have it
    for counts in content:
        totals.update(counts)
        spread.update(counts.keys())
    dealt: dict[int, int] = dict.fromkeys(totals, 0)
    held: dict[int, int] = dict.fromkeys(totals, 0)
    is_held = np.zeros(len(content), bool)
    shuffled = np.random.default_rng(seed).permutation(len(content)).tolist()

    def rarity(index: int) -> tuple[bool, int, int]:
        rarest = min(totals[label] for label in content[index])
        return index not in groups.in_training, rarest, -len(groups.indices[index])

    for index in sorted(shuffled, key=rarity):
        training = held_out = 0.0
        for label, count in content[index].items():
            dealt[label] += count
            excess = held[label] - share * dealt[label]
            weight = spread[label] / totals[label] ** 2
            training += weight * excess**2
            held_out += weight * (excess + count) ** 2
        if held_out < training and index not in groups.in_training:
            is_held[index] = True
            for label, count in content[index].items():
                held[label] += count
    if is_held.all() or not is_held.any():
        free = [index for index in shuffled if index not in groups.in_training] or shuffled
        smallest = min(free, key=lambda index: len(groups.indices[index]))
        is_held[smallest] = not is_held[smallest]
    mask = np.zeros(len(labels), bool)
    for index in np.flatnonzero(is_held):
        mask[groups.indices[index]] = True
    return mask


# Keys of what is counted besides boxes.
_IMAGES, _WITHOUT_BOXES = -1, -2


def _count(labels: Sequence[np.ndarray], group: Sequence[int]) -> dict[int, int]:
    """Return how many boxes of each label, images, and images without boxes a group has."""
    counts = Counter[int]()
    for index in group:
        counts.update(labels[index].tolist() or [_WITHOUT_BOXES])
    counts[_IMAGES] = len(group)
    return counts


def group_images(names: Sequence[str], class_names: Collection[str], share: float) -> Groups:
    """Return which images have to stay together, by their names.

    - The copies that Roboflow makes of an image, `NAME_jpg.rf.HASH.jpg`, and an image that is
      listed twice.
    - The frames of a video: three images or more in a folder whose names differ in the number at
      their end alone, such as `NAME_0001`, `NAME-1`, `name_frame12`, `clip (3)`. Names with which
      cameras, tools and data sets number all their images are none (`IMG_0001`, `DSC01234`,
      `000000123456`, `2007_000032`), nor are those of classes (`cat.17`); except in a folder whose
      name is none of these either (`clip3/000123`).

    A sequence of much more images than are to be held out would upset the share. It stays in one
    piece, to train on, if there are enough other images; if not, it is cut into blocks of
    consecutive images, so that few of those held out have a neighbour that is trained on. That does
    no harm where the sequence was no video.

    Args:
        names: path of each image below the folder of the data set, with `/`.
        class_names: names of the classes.
        share: of the images to hold out.
    """
    usual = _USUAL_WORDS | {word for name in class_names for word in _words(name)}
    copies: dict[tuple[str, str], list[int]] = defaultdict(list)
    sequences: dict[tuple[str, str], dict[tuple[int, str], list[int]]] = defaultdict(dict)
    for index in sorted(range(len(names)), key=names.__getitem__):
        folder, file = posixpath.split(names[index])
        stem = posixpath.splitext(file)[0]
        if _COPY.search(stem):
            file = _COPY.sub("", stem)
            stem = _COPIED_SUFFIX.sub("", file)
        same = copies[folder, file]
        same.append(index)
        frame = _FRAME.fullmatch(stem)
        if frame and not (_is_usual(frame["prefix"], usual) and _is_usual(folder, usual)):
            sequences[folder, frame["prefix"]][int(frame["number"]), file] = same
    wanted = share * len(names)
    whole: list[list[int]] = []
    long: dict[str, list[list[int]]] = {}
    for (folder, prefix), frames in sorted(sequences.items()):
        if len(frames) < MIN_FRAMES:
            continue
        for _, file in frames:
            del copies[folder, file]
        pieces = [frames[key] for key in sorted(frames)]
        if sum(map(len, pieces)) <= max(1, MAX_EXCESS * wanted):
            whole.append(sum(pieces, []))
        else:
            long[posixpath.join(folder, prefix)] = pieces
    others = [*copies.values(), *whole]
    if sum(map(len, others)) >= 2 * wanted:
        start = len(others)
        others += [sum(pieces, []) for pieces in long.values()]
        return Groups(others, frozenset(range(start, len(others))), len(whole) + len(long))
    block = max(1, int(wanted / BLOCKS))
    for pieces in long.values():
        others += _blocks(pieces, block)
    sizes = {name: sum(map(len, pieces)) for name, pieces in long.items()}
    return Groups(others, sequences=len(whole), cut=sizes, block=block)


def _words(text: str) -> list[str]:
    """Return the words of a name, without case and the s of a plural."""
    return [word.lower().rstrip("s") for word in _WORD.findall(text)]


def _is_usual(text: str, usual: Collection[str]) -> bool:
    """Return whether a name has nothing but usual words and years."""
    numbers = re.findall(r"\d+", text)
    return all(map(_YEAR.fullmatch, numbers)) and all(word in usual for word in _words(text))


def _blocks(pieces: Sequence[list[int]], size: int) -> list[list[int]]:
    """Return consecutive pieces in blocks of at most `size` images, except of one piece."""
    blocks: list[list[int]] = [[]]
    for piece in pieces:
        if blocks[-1] and len(blocks[-1]) + len(piece) > size:
            blocks.append([])
        blocks[-1] += piece
    return blocks
