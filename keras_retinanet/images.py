"""Images from file to network input: read, resize, normalise. All are BGR, `(h, w, 3)`."""

import io
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import ArrayLike
from PIL import Image

from keras_retinanet.system import arrays
from keras_retinanet.system.types import StrPath

# ImageNet's mean pixel, blue, green, red: what the Caffe-trained ResNet and VGG weights expect.
BGR_MEAN = np.array([103.939, 116.779, 123.68], "float32")
# Mean and standard deviation of ImageNet's pixels in 0..1, red, green, blue: what PyTorch's
# weights expect.
RGB_MEAN = np.array([0.485, 0.456, 0.406], "float32")
RGB_DEVIATION = np.array([0.229, 0.224, 0.225], "float32")

# The mode of a network that normalises its own images.
IN_NETWORK = "network"

# An image of one row with all uint8 values: what a function returns for it is its table for `LUT`.
ALL_VALUES = np.tile(np.arange(256, dtype="uint8")[:, None], 3)[None]


# In these formats (GIF, TIFF) OpenCV changes transparent pixels; Pillow keeps their colour.
_PILLOW_FIRST = (b"GIF8", b"II*\0", b"MM\0*")
# Pillow clips these modes to 255 when it converts them, which loses the picture.
_TOO_DEEP = ("I", "F")


def read_image_bgr(path: StrPath) -> np.ndarray:
    """Return the image in a file as BGR, uint8, `(h, w, 3)`; EXIF rotation is ignored.

    Grey, palette and CMYK images are converted to BGR. Transparency is dropped, and the colours
    below it are kept. 16-bit values keep their upper 8 bits. Of several frames the first is read.
    The orientation of a TIFF is part of the format and is applied.

    Raises:
        OSError: if the file cannot be opened.
        ValueError: naming the file, if it is empty, not an image, damaged, or cut off.
    """
    # Unbuffered: between system calls other threads would take Python's lock.
    with open(path, "rb", buffering=0) as file:
        data = file.read()
    if not data:
        raise ValueError(f"{path}: expected an image, got an empty file")
    if _is_cut_off(data):
        raise ValueError(f"{path}: the image is cut off in the middle")
    decoders = [_with_opencv, _with_pillow]
    if data.startswith(_PILLOW_FIRST):
        decoders.reverse()
    for decode in decoders:
        image = decode(data)
        if image is not None:
            return image
    raise ValueError(
        f"{path}: expected an image, got a file that OpenCV and Pillow cannot decode: damaged, too "
        "large, or of an unknown kind"
    )


def _with_opencv(data: bytes) -> np.ndarray | None:
    """Return an image file decoded by OpenCV; None if it cannot decode it."""
    try:
        return cv2.imdecode(
            np.frombuffer(data, "uint8"), cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION
        )
    except cv2.error:  # more pixels than OpenCV allows
        return None


def _with_pillow(data: bytes) -> np.ndarray | None:
    """Return an image file decoded by Pillow; None if it cannot decode it."""
    try:
        with Image.open(io.BytesIO(data)) as image:
            if image.mode in _TOO_DEEP:
                return None
            if image.mode.startswith("I;16"):
                grey = (np.asarray(image) >> 8).astype("uint8")
                return np.dstack([grey] * 3)
            return np.ascontiguousarray(np.asarray(image.convert("RGB"))[..., ::-1])
    except Exception:  # its many formats raise many types of errors
        return None


def _is_cut_off(data: bytes) -> bool:
    """Return whether a JPEG or PNG file lacks its end; OpenCV would fill the rest with grey."""
    if data.startswith(b"\xff\xd8") and not data.endswith(b"\xff\xd9"):
        # An end marker before the last start of scan belongs to a thumbnail.
        return data.rfind(b"\xff\xd9") < data.rfind(b"\xff\xda")
    return data.startswith(b"\x89PNG") and b"IEND" not in data[-1024:]


def image_size(path: StrPath) -> tuple[int, int]:
    """Return width and height of the image in a file, from its header if possible.

    They are those of the array that `read_image_bgr` returns.

    Raises:
        OSError: if the file cannot be opened.
        ValueError: naming the file, if it is not an image.
    """
    try:
        with warnings.catch_warnings():
            # Nothing is decoded here, so a "decompression bomb" does no harm.
            warnings.simplefilter("ignore")
            with Image.open(path) as image:
                return image.size
    except Exception:  # Pillow's many formats raise many types of errors
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
            - "torch_rgb": RGB minus ImageNet's mean pixel, divided by its standard deviation.
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
    if images.dtype != np.uint8 or images.shape[-1:] != (3,) or not images.size:
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


# Of each mode: whether it is for RGB, and the function of a float32 image in the mode's order, a
# NumPy array or a tensor.
NORMALISATIONS: dict[str, tuple[bool, Callable[[Any], Any]]] = {
    "caffe": (False, lambda x: x - BGR_MEAN),
    "tf": (False, lambda x: x / np.float32(127.5) - np.float32(1)),
    "tf_rgb": (True, lambda x: x / np.float32(127.5) - np.float32(1)),
    "torch": (False, lambda x: (x / np.float32(255) - RGB_MEAN) / RGB_DEVIATION),
    "torch_rgb": (True, lambda x: (x / np.float32(255) - RGB_MEAN) / RGB_DEVIATION),
    "bgr": (False, lambda x: x),
    "rgb": (True, lambda x: x),
}


def compute_resize_scale(
    image_shape: Sequence[int], min_side: float = 800, max_side: float = 1333
) -> float:
    """Return the factor that makes the shorter side `min_side`, the longer at most `max_side`.

    Args:
        image_shape: `(height, width, ...)`.
        min_side: pixels of the shorter side.
        max_side: maximum pixels of the longer side; takes precedence over `min_side`.
    """
    sides = image_shape[:2]
    return min(min_side / min(sides), max_side / max(sides))


def resize_image(
    img: np.ndarray, min_side: float = 800, max_side: float = 1333
) -> tuple[np.ndarray, float]:
    """Return an image resized by `compute_resize_scale`, and the factor.

    Resizing is bilinear without antialiasing, as in keras-retinanet 1.0.0; its snapshots expect it.
    """
    scale = compute_resize_scale(img.shape, min_side=min_side, max_side=max_side)
    if scale == 1:
        return img, scale
    if min(img.shape[:2]) * scale < 1:
        # A very long, thin image keeps one pixel on its short side.
        size = [max(1, round(side * scale)) for side in (img.shape[1], img.shape[0])]
        return cv2.resize(img, size), scale
    sides = [round(side * scale) for side in img.shape[:2]]
    out = arrays.empty((*sides, *img.shape[2:]), img.dtype)
    return cv2.resize(img, None, dst=out, fx=scale, fy=scale), scale
