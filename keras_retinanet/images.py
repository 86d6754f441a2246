"""Images from file to network input: read, resize, normalise. All are BGR, `(h, w, 3)`."""

import warnings

import cv2
import numpy as np
from PIL import Image

# ImageNet's mean pixel, blue, green, red: what the Caffe-trained ResNet and VGG weights expect.
BGR_MEAN = np.array([103.939, 116.779, 123.68], "float32")
# Mean and deviation of ImageNet's pixels in 0..1, red, green, blue: what PyTorch's weights expect.
RGB_MEAN = np.array([0.485, 0.456, 0.406], "float32")
RGB_DEVIATION = np.array([0.229, 0.224, 0.225], "float32")


def read_image_bgr(path) -> np.ndarray:
    """Return the image in a file as BGR, uint8, `(h, w, 3)`, as stored (EXIF rotation is ignored).

    Grey, palette, alpha, CMYK and 16-bit images are converted.

    Raises:
        OSError: if the file cannot be opened.
        ValueError: if it is empty, no image, or cut off in the middle.
    """
    data = np.fromfile(path, "uint8")
    if not data.size:
        raise ValueError(f"{path}: expected an image, got an empty file")
    if _is_cut_off(data):
        raise ValueError(f"{path}: the image is cut off in the middle")
    image = cv2.imdecode(data, cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)
    if image is None:
        raise ValueError(f"{path}: expected an image, got a file that OpenCV cannot decode")
    return image


def _is_cut_off(data) -> bool:
    """Return whether a JPEG or PNG file lacks its end; OpenCV would fill the rest with grey."""
    content = data.tobytes()
    if content.startswith(b"\xff\xd8"):
        # An end marker before the last start of scan belongs to a thumbnail.
        return content.rfind(b"\xff\xd9") < content.rfind(b"\xff\xda")
    if content.startswith(b"\x89PNG"):
        return b"IEND" not in content[-1024:]
    return False


def image_size(path) -> tuple[int, int]:
    """Return width and height of the image in a file, from its header where there is one.

    As stored: EXIF rotation is ignored, as it is when the image is read.

    Raises:
        OSError: if the file cannot be opened.
        ValueError: if it is no image.
    """
    try:
        with warnings.catch_warnings():
            # Nothing is decoded here, so the size of a "decompression bomb" does no harm.
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with Image.open(path) as image:
                return image.size
    except (Image.UnidentifiedImageError, Image.DecompressionBombError):
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

    Returns:
        New float32 array of the same shape.

    Raises:
        ValueError: if the mode is unknown.
    """
    if mode not in NORMALISATIONS:
        raise ValueError(f"expected a mode of {sorted(NORMALISATIONS)}, got {mode!r}")
    return NORMALISATIONS[mode](np.asarray(x).astype("float32"))


NORMALISATIONS = {
    "caffe": lambda x: x - BGR_MEAN,
    "tf": lambda x: x / np.float32(127.5) - np.float32(1),
    "tf_rgb": lambda x: x[..., ::-1] / np.float32(127.5) - np.float32(1),
    "torch": lambda x: (x / np.float32(255) - RGB_MEAN) / RGB_DEVIATION,
    "torch_rgb": lambda x: (x[..., ::-1] / np.float32(255) - RGB_MEAN) / RGB_DEVIATION,
    "bgr": lambda x: x,
    "rgb": lambda x: np.ascontiguousarray(x[..., ::-1]),
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
    return cv2.resize(img, None, fx=scale, fy=scale), scale
