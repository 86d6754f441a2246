"""Images from file to network input: read, resize, normalise. All are BGR, `(h, w, 3)`."""

import io
import os
import struct
import tempfile
from collections.abc import Callable
from functools import partial
from typing import Any, BinaryIO

import cv2
import numpy as np
from numpy.typing import ArrayLike
from PIL import Image, ImageFile

from keras_retinanet.system import arrays, image_headers
from keras_retinanet.system.files import only_regular, read_file
from keras_retinanet.system.image_kinds import kind_by_content
from keras_retinanet.system.limits import MAX_IMAGE_BYTES, MAX_PIXELS
from keras_retinanet.system.messages import shorten
from keras_retinanet.system.resizing import RESIZE_RULES, Scale
from keras_retinanet.system.resizing import compute_resize_scale as compute_resize_scale
from keras_retinanet.system.types import StrPath

# ImageNet's mean pixel, blue, green, red: what the Caffe-trained ResNet and VGG weights expect.
BGR_MEAN = np.array([103.939, 116.779, 123.68], "float32")
# The same as detectron2's weights expect it, and MMDetection's of Caffe style.
DETECTRON_MEAN = np.array([103.53, 116.28, 123.675], "float32")
# Mean and standard deviation of ImageNet's pixels in 0..1, red, green, blue: what PyTorch's
# weights expect.
RGB_MEAN = np.array([0.485, 0.456, 0.406], "float32")
RGB_DEVIATION = np.array([0.229, 0.224, 0.225], "float32")

# The mode of a network that normalises its own images.
IN_NETWORK = "network"

# An image of one row with all uint8 values: what a function returns for it is its table for `LUT`.
ALL_VALUES = np.tile(np.arange(256, dtype="uint8")[:, None], 3)[None]


# In these formats (GIF, TIFF) OpenCV changes transparent pixels; Pillow keeps their colour.
_PILLOW_FIRST = (b"GIF8", b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
# Modes of Pillow that have no transparent pixels.
_OPAQUE = ("RGB", "L")
# From this number of pixels, 400 MB, memory is worth more than the time to decode twice.
_LARGE_PIXELS = 2**27
# Pillow clips these modes to 255 when it converts them, which loses the picture.
_TOO_DEEP = ("I", "F")
_OPENCV_FLAGS = cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION
_OPENCV_SMALL_FLAGS = cv2.IMREAD_REDUCED_GRAYSCALE_8 | cv2.IMREAD_IGNORE_ORIENTATION
# What Pillow opens although it is no image, or runs a program (Ghostscript) to draw.
_NOT_IMAGES = {"BUFR", "EPS", "GRIB", "HDF5", "MPEG", "WMF"}


def read_image_bgr(path: StrPath, *, max_pixels: int = MAX_PIXELS) -> np.ndarray:
    """Return the image in a file as BGR, uint8, `(h, w, 3)`; EXIF rotation is ignored.

    Grey, palette and CMYK images are converted to BGR. Transparency is dropped, and the colours
    below it are kept. 16-bit values keep their upper 8 bits. Of several frames the first is read.
    The orientation of a TIFF is part of the format and is applied.

    Args:
        path: the file.
        max_pixels: maximum number of pixels that its header may declare.

    Raises:
        OSError: if the file cannot be opened.
        ValueError: naming the file, if it is empty, not an image, damaged, cut off, too large, or
            no regular file.
    """
    try:
        data = read_file(path, MAX_IMAGE_BYTES)
    except MemoryError:
        raise _too_large_for_memory(path) from None
    return decode_image_bgr(data, path, max_pixels=max_pixels)


def decode_image_bgr(
    data: bytes, name: StrPath = "image", *, max_pixels: int = MAX_PIXELS
) -> np.ndarray:
    """Return the image in the bytes of a file, as `read_image_bgr` does.

    Args:
        data: the bytes.
        name: where they are from, for errors.
        max_pixels: maximum number of pixels that the header may declare.

    Raises:
        ValueError: naming where they are from, if they are no image, damaged, cut off or too large.
    """
    try:
        if not data:
            raise ValueError(f"{name}: expected an image, got an empty file")
        if _is_cut_off(data):
            raise ValueError(f"{name}: the image is cut off in the middle")
        sizes = _check_declared(
            name, lambda place, length: data[place : place + length], len(data), max_pixels
        )
        if not sizes and (opened := _opened_by_pillow(io.BytesIO(data))) is not None:
            sizes = [opened.size]
            _check_size(name, opened.size, max_pixels)
        decoders: list[Callable[[bytes], np.ndarray | None]]
        decoders = [_with_opencv, partial(_with_pillow, max_pixels=max_pixels)]
        if data.startswith(_PILLOW_FIRST):
            decoders.reverse()
        if sizes and sizes[0][0] * sizes[0][1] >= _LARGE_PIXELS:
            decoders.insert(0, partial(_large_with_opencv, size=sizes[0]))
        # OpenCV takes the memory that a header asks for, so the header must be understood.
        for decode in decoders if sizes else []:
            image = decode(data)
            if image is not None:
                return image
    except MemoryError:
        raise _too_large_for_memory(name) from None
    kind = kind_by_content(data) or "damaged, too large, or of an unknown kind"
    raise ValueError(
        f"{name}: expected an image, got a file that OpenCV and Pillow cannot decode: {kind}"
    )


def _too_large_for_memory(name: StrPath) -> ValueError:
    return ValueError(f"{name}: expected an image that fits into the memory that is left")


def _check_declared(
    path: StrPath, read: image_headers.Read, length: int, max_pixels: int
) -> list[tuple[int, int]]:
    """Return the sizes (width, height) that the header of an image file declares; check them all.

    Raises:
        ValueError: naming the file, if one has too many pixels.
    """
    try:
        sizes = image_headers.declared_sizes(read, length)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None
    for size in sizes:
        _check_size(path, size, max_pixels)
    return sizes


def _check_size(path: StrPath, size: tuple[int, int], max_pixels: int) -> None:
    width, height = size
    if width * height > max_pixels:
        raise ValueError(
            f"{path}: expected an image of at most {max_pixels} pixels (max_pixels), got a header "
            f"that declares {width} x {height}"
        )


def _with_opencv(data: bytes) -> np.ndarray | None:
    """Return an image file decoded by OpenCV; None if it cannot decode it."""
    try:
        return cv2.imdecode(np.frombuffer(data, "uint8"), _OPENCV_FLAGS)
    except Exception:  # cv2.error of many kinds, such as more pixels than OpenCV allows
        return None


def _large_with_opencv(data: bytes, size: tuple[int, int]) -> np.ndarray | None:
    """Return a large image file decoded by OpenCV in half of the memory; None if it cannot.

    `imdecode` makes a copy of the pixels for Python. `imread` decodes into an array, but does not
    tell whether it could decode all of the file: decoding a small grey version does.

    Args:
        data: the bytes of the file.
        size: width and height that its header declares.
    """
    if data.startswith(_PILLOW_FIRST):
        opened = _opened_by_pillow(io.BytesIO(data))
        if opened is None or opened.mode not in _OPAQUE:
            return None
    try:
        if cv2.imdecode(np.frombuffer(data, "uint8"), _OPENCV_SMALL_FLAGS) is None:
            return None
        pixels = np.empty((size[1], size[0], 3), "uint8")
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "image")
            with open(path, "wb") as file:
                file.write(data)
            return cv2.imread(path, pixels, _OPENCV_FLAGS)
    except Exception:  # as above; or there is no room for the file
        return None


def _with_pillow(data: bytes, max_pixels: int) -> np.ndarray | None:
    """Return an image file decoded by Pillow; None if it cannot decode it."""
    try:
        image = _opened_by_pillow(io.BytesIO(data))
        if image is None or image.width * image.height > max_pixels:
            return None
        return pillow_to_bgr(image)
    except Exception:  # its many formats raise many types of errors
        return None


def pillow_to_bgr(image: Image.Image) -> np.ndarray:
    """Return a PIL image as uint8 `(h, w, 3)`; of 16 bits the upper eight.

    Raises:
        ValueError: if it has values of 32 bits, whose range is not known, or no pixels.
    """
    if image.mode in _TOO_DEEP or 0 in image.size:
        raise ValueError(
            "expected a PIL image with pixels of 8 or 16 bits, got one of mode "
            f"{image.mode} and size {image.width}x{image.height}"
        )
    if image.mode.startswith("I;16"):
        grey = (np.asarray(image) >> 8).astype("uint8")
        return np.dstack([grey] * 3)
    return np.ascontiguousarray(np.asarray(image.convert("RGB"))[..., ::-1])


def _opened_by_pillow(file: BinaryIO) -> ImageFile.ImageFile | None:
    """Return the image that Pillow recognises in a file, not yet decoded; None if it does not.

    `Image.open` does the same but has a bound of its own on the pixels, the same for the whole
    process and lower than ours.
    """
    Image.init()
    prefix = file.read(16)
    for name in Image.ID:
        factory, accept = Image.OPEN[name]
        try:
            accepted = name not in _NOT_IMAGES and (accept is None or accept(prefix))
            if accepted and not isinstance(accepted, str):  # a text says what is not installed
                file.seek(0)
                return factory(file, "")
        except (SyntaxError, IndexError, TypeError, struct.error):
            continue  # perhaps it is of another format
        except Exception:  # its many formats raise many types of errors
            return None
    return None


def _is_cut_off(data: bytes) -> bool:
    """Return whether a JPEG or PNG file lacks its end; OpenCV would fill the rest with grey."""
    if data.startswith(b"\xff\xd8") and not data.endswith(b"\xff\xd9"):
        # An end marker before the last start of scan belongs to a thumbnail.
        return data.rfind(b"\xff\xd9") < data.rfind(b"\xff\xda")
    return data.startswith(b"\x89PNG") and _lacks_chunks(data)


def _lacks_chunks(data: bytes) -> bool:
    """Return whether a PNG file ends before its chunk IEND (W3C PNG, 5.3).

    OpenCV takes the memory for a chunk before it looks whether the file has that many bytes.
    """
    place = 8
    while place + 8 <= len(data):
        if data[place + 4 : place + 8] == b"IEND":
            return False
        place += 12 + int.from_bytes(data[place : place + 4], "big")
    return True


def image_size(path: StrPath) -> tuple[int, int]:
    """Return width and height of the image in a file, from its header if possible.

    They are those of the array that `read_image_bgr` returns, if its bound allows so many pixels.

    Raises:
        OSError: if the file cannot be opened.
        ValueError: naming the file, if it is not an image.
    """
    size = image_headers.header_size(path)
    if size is not None:
        return size
    with open(path, "rb", opener=only_regular) as file:
        length_of_file = os.fstat(file.fileno()).st_size

        def read(place: int, length: int) -> bytes:
            if place >= length_of_file:  # a system call refuses places that are too high
                return b""
            file.seek(place)
            return file.read(length)

        # Pillow decodes some kinds, such as icons, as soon as it opens them.
        _check_declared(path, read, length_of_file, MAX_PIXELS)
        file.seek(0)
        opened = _opened_by_pillow(file)
        if opened is not None:
            return opened.size
    height, width = read_image_bgr(path).shape[:2]
    return width, height


def preprocess_image(x: ArrayLike, mode: str = "caffe") -> np.ndarray:
    """Return an image or a batch normalised for a network.

    Args:
        x: BGR values 0..255, any dtype, `(..., 3)`.
        mode: how the network's weights were trained:
            - "caffe": BGR minus ImageNet's mean pixel.
            - "tf": BGR scaled to -1..1, as in keras-retinanet 1.0.0 for most backbones.
            - "tf_rgb": RGB scaled to -1..1, as the weights of Keras's MobileNets expect.
            - "torch": BGR minus ImageNet's mean RGB pixel, divided by its standard deviation, as in
              keras-retinanet 1.0.0 for EfficientNet and the larger SE networks.
            - "torch_rgb": RGB minus ImageNet's mean pixel, divided by its standard deviation, as
              torchvision's weights expect, and MMDetection's of PyTorch style.
            - "detectron": BGR minus the mean pixel of detectron2, as its weights expect, and
              MMDetection's of Caffe style.
            - "bgr": BGR, not scaled, as in keras-retinanet 1.0.0 for SE-ResNet-18 and -34.
            - "rgb": RGB, not scaled, for networks that scale their input.
            - "network": unchanged, for networks that begin with a layer `Normalise`.

    Returns:
        New float32 array of the same shape; for "network", the array itself.

    Raises:
        ValueError: if the mode is unknown.
    """
    if mode == IN_NETWORK:
        return np.asarray(x)
    if mode not in NORMALISATIONS:
        raise ValueError(
            f"expected a mode of {sorted([*NORMALISATIONS, IN_NETWORK])}, got {mode!r}"
        )
    reverse, normalise = NORMALISATIONS[mode]
    images = np.asarray(x)
    usual = images.shape[-1:] == (3,) and images.size
    if usual and images.dtype == np.float32:
        return _normalise_floats(images, reverse, normalise)
    if not usual or images.dtype != np.uint8:
        return normalise((images[..., ::-1] if reverse else images).astype("float32"))
    pixels: Any = images.reshape(-1, 1, 3)
    if reverse:
        pixels = cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB)
    out: Any = arrays.empty(pixels.shape, "float32")
    if mode == "caffe":  # the usual mode: twice as fast again, and as exact
        mean: Any = (*BGR_MEAN.tolist(), 0)
        out = cv2.subtract(pixels, mean, dst=out, dtype=cv2.CV_32F)
    else:
        # There are 256 values: looking them up gives the same numbers in less time.
        out = cv2.LUT(pixels, normalise(ALL_VALUES.astype("float32")), dst=out)
    return out.reshape(images.shape)


def _normalise_floats(
    images: np.ndarray, reverse: bool, normalise: Callable[[Any], Any]
) -> np.ndarray:
    """Return float32 images `(..., 3)` normalised, equal to `normalise` in all but the last digit.

    Every mode multiplies each channel and adds to it: OpenCV does this for all modes, and turns the
    channels round, in a tenth of the time of NumPy.
    """
    offset = normalise(np.zeros(3))
    factors = np.diag((normalise(np.full(3, 255.0)) - offset) / 255)
    matrix = np.column_stack([factors[:, ::-1] if reverse else factors, offset])
    out: Any = arrays.empty((images.size // 3, 1, 3), "float32")
    return cv2.transform(images.reshape(-1, 1, 3), matrix, dst=out).reshape(images.shape)


# Of each mode: whether it is for RGB, and the function of a float32 image in the mode's order, a
# NumPy array or a tensor.
NORMALISATIONS: dict[str, tuple[bool, Callable[[Any], Any]]] = {
    "caffe": (False, lambda x: x - BGR_MEAN),
    "tf": (False, lambda x: x / np.float32(127.5) - np.float32(1)),
    "tf_rgb": (True, lambda x: x / np.float32(127.5) - np.float32(1)),
    "torch": (False, lambda x: (x / np.float32(255) - RGB_MEAN) / RGB_DEVIATION),
    "torch_rgb": (True, lambda x: (x / np.float32(255) - RGB_MEAN) / RGB_DEVIATION),
    "detectron": (False, lambda x: x - DETECTRON_MEAN),
    "bgr": (False, lambda x: x),
    "rgb": (True, lambda x: x),
}


def resize_image(
    img: np.ndarray,
    min_side: float = 800,
    max_side: float = 1333,
    *,
    rule: str = "keras_retinanet",
) -> tuple[np.ndarray, Scale]:
    """Return an image resized by a library's rule, and the factor on its sides.

    Resizing is bilinear. An image whose size stays is returned as it is.

    Args:
        img: array `(h, w, c)`, uint8 or float.
        min_side: pixels of the shorter side.
        max_side: maximum pixels of the longer side; it takes precedence over `min_side`.
        rule: how the network's library resizes:
            - "keras_retinanet": by `compute_resize_scale`, without antialiasing, as in
              keras-retinanet 1.0.0; its snapshots expect it.
            - "torchvision": sides rounded down, without antialiasing; the result is float32 and not
              rounded, since torchvision resizes normalised images.
            - "detectron2": sides rounded, with antialiasing.
            - "mmdet": sides rounded, without antialiasing.

    Returns:
        The image, of the same dtype unless the rule says otherwise; and resized pixels per original
        pixel: a float for "keras_retinanet", for the others float64 `(4,)`, the factors on x, y, x,
        y, since their sides are whole pixels. Boxes `(n, 4)` times the factor are those of the
        resized image.

    Raises:
        ValueError: if the resized image would have more than `MAX_PIXELS` pixels, or the rule is
            unknown.
    """
    if rule not in RESIZE_RULES:
        raise ValueError(f"expected a resize rule of {sorted(RESIZE_RULES)}, got {shorten(rule)!r}")
    return RESIZE_RULES[rule](img, min_side, max_side)


def to_uint8(images: np.ndarray) -> np.ndarray:
    """Return images of values 0..255 rounded to uint8; uint8 images are returned as they are."""
    if images.dtype == np.uint8:
        return images
    return np.clip(np.rint(images), 0, 255).astype("uint8")
