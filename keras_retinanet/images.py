"""Images from file to network input: read, resize, normalise. All are BGR, `(h, w, 3)`."""

import io
import warnings

import cv2
import numpy as np
from PIL import Image

from keras_retinanet.system import arrays

# ImageNet's mean pixel, blue, green, red: what the Caffe-trained ResNet and VGG weights expect.
BGR_MEAN = np.array([103.939, 116.779, 123.68], "float32")
# Mean and deviation of ImageNet's pixels in 0..1, red, green, blue: what PyTorch's weights expect.
RGB_MEAN = np.array([0.485, 0.456, 0.406], "float32")
RGB_DEVIATION = np.array([0.229, 0.224, 0.225], "float32")

# The mode of a network that normalises its images itself.
IN_NETWORK = "network"

# An image of one row with all values of a byte: what a change makes of it is its table for `LUT`.
RAMP = np.tile(np.arange(256, dtype="uint8")[:, None], 3)[None]


# OpenCV darkens or blanks what is transparent in these (GIF, TIFF); their colours count as stored.
_PILLOW_FIRST = (b"GIF8", b"II*\0", b"MM\0*")
# Pillow clips these to 255 when it converts them, which is no picture.
_TOO_DEEP = ("I", "F")


def read_image_bgr(path) -> np.ndarray:
    """Return the image in a file as BGR, uint8, `(h, w, 3)`, as stored: EXIF rotation is ignored.

    Grey and palette become BGR, transparency is left out and the colours below it stay, CMYK is
    converted, and of 16 bits the upper 8 are kept. Of several frames the first is read. The
    orientation of a TIFF is part of how it is stored, so that one is obeyed.

    Raises:
        OSError: if the file cannot be opened.
        ValueError: naming the file, if it is empty, no image, damaged, or cut off in the middle.
    """
    # Unbuffered, for few calls of the system: between them other threads would get Python's lock.
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


def _with_opencv(data) -> np.ndarray | None:
    """Return what OpenCV makes of the bytes of an image file; None if it cannot decode them."""
    try:
        return cv2.imdecode(
            np.frombuffer(data, "uint8"), cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION
        )
    except cv2.error:  # more pixels than OpenCV allows
        return None


def _with_pillow(data) -> np.ndarray | None:
    """Return what Pillow makes of the bytes of an image file; None if it cannot decode them."""
    try:
        with Image.open(io.BytesIO(data)) as image:
            if image.mode in _TOO_DEEP:
                return None
            if image.mode.startswith("I;16"):
                grey = (np.asarray(image) >> 8).astype("uint8")
                return np.dstack([grey] * 3)
            return np.ascontiguousarray(np.asarray(image.convert("RGB"))[..., ::-1])
    except Exception:  # its many formats raise errors of many kinds
        return None


def _is_cut_off(data) -> bool:
    """Return whether a JPEG or PNG file lacks its end; OpenCV would fill the rest with grey."""
    if data.startswith(b"\xff\xd8") and not data.endswith(b"\xff\xd9"):
        # An end marker before the last start of scan belongs to a thumbnail.
        return data.rfind(b"\xff\xd9") < data.rfind(b"\xff\xda")
    return data.startswith(b"\x89PNG") and b"IEND" not in data[-1024:]


def image_size(path) -> tuple[int, int]:
    """Return width and height of the image in a file, from its header where there is one.

    They are those of the array that `read_image_bgr` returns.

    Raises:
        OSError: if the file cannot be opened.
        ValueError: naming the file, if it is no image.
    """
    try:
        with warnings.catch_warnings():
            # Nothing is decoded here: a "decompression bomb" does no harm, damage is found later.
            warnings.simplefilter("ignore")
            with Image.open(path) as image:
                return image.size
    except Exception:  # Pillow's many formats raise errors of many kinds
        height, width = read_image_bgr(path).shape[:2]
        return width, height


def preprocess_image(x, mode="caffe") -> np.ndarray:
    """Return an image or a batch normalised for a network.

    Args:
        x: BGR values 0..255, any dtype, `(..., 3)`.
        mode: how the network's weights were trained:
            - "caffe": BGR less ImageNet's mean pixel.
            - "tf": BGR scaled to -1..1, as keras-retinanet 1.0.0 fed most backbones.
            - "tf_rgb": RGB scaled to -1..1, as the weights of Keras's MobileNets expect.
            - "torch": BGR less ImageNet's mean RGB pixel, over its deviation, as keras-retinanet
              1.0.0 fed EfficientNet and the larger SE networks.
            - "torch_rgb": RGB less ImageNet's mean pixel, over its deviation.
            - "bgr": as it is, as keras-retinanet 1.0.0 fed SE-ResNet-18 and -34.
            - "rgb": RGB as it is, for networks that scale by themselves.
            - "network": left as it is, for networks that begin with a layer `Normalise`.

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
    x = np.asarray(x)
    if x.dtype != np.uint8 or x.shape[-1:] != (3,) or not x.size:
        return normalise((x[..., ::-1] if reverse else x).astype("float32"))
    pixels = x.reshape(-1, 1, 3)
    if reverse:
        pixels = cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB)
    out = arrays.empty(pixels.shape, "float32")
    if mode == "caffe":  # the usual one; this is twice as fast again, and as exact
        out = cv2.subtract(pixels, (*BGR_MEAN.tolist(), 0), dst=out, dtype=cv2.CV_32F)
    else:
        # A byte has 256 values: looking them up gives the same numbers in less time.
        out = cv2.LUT(pixels, normalise(RAMP.astype("float32")), dst=out)
    return out.reshape(x.shape)


# Of each mode: whether it is for RGB, and what becomes of a float32 image in the mode's order.
NORMALISATIONS = {
    "caffe": (False, lambda x: x - BGR_MEAN),
    "tf": (False, lambda x: x / np.float32(127.5) - np.float32(1)),
    "tf_rgb": (True, lambda x: x / np.float32(127.5) - np.float32(1)),
    "torch": (False, lambda x: (x / np.float32(255) - RGB_MEAN) / RGB_DEVIATION),
    "torch_rgb": (True, lambda x: (x / np.float32(255) - RGB_MEAN) / RGB_DEVIATION),
    "bgr": (False, lambda x: x),
    "rgb": (True, lambda x: x),
}


def compute_resize_scale(image_shape, min_side=800, max_side=1333) -> float:
    """Return the factor that makes the shortest side `min_side`, the longest at most `max_side`.

    Args:
        image_shape: `(height, width, ...)`.
        min_side: pixels of the shortest side.
        max_side: pixels the longest side may have; it wins over `min_side`.
    """
    sides = image_shape[:2]
    return min(min_side / min(sides), max_side / max(sides))


def resize_image(img, min_side=800, max_side=1333):
    """Return an image resized as `compute_resize_scale` says, and the factor.

    Bilinear without smoothing, as keras-retinanet always did and its snapshots expect.
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
