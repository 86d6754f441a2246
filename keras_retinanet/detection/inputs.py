"""Whatever a person hands over as an image, as an array."""

from __future__ import annotations

import http.client
import os
import re
import time
import urllib.parse
import urllib.request
from collections.abc import Iterable
from typing import TypeAlias

import numpy as np
from PIL import Image

from keras_retinanet.images import decode_image_bgr, pillow_to_bgr, read_image_bgr, to_uint8
from keras_retinanet.system.limits import MAX_DOWNLOADED_IMAGE_BYTES, MAX_PIXELS
from keras_retinanet.system.messages import shorten
from keras_retinanet.system.types import StrPath

# One image: the path of a file, a URL, the bytes of a file, a PIL image, an array.
ImageLike: TypeAlias = StrPath | bytes | Image.Image | np.ndarray

_URL = re.compile(r"https?://", re.IGNORECASE)
# What stands in addresses for itself (RFC 3986), and what is escaped already.
_URL_SIGNS = "/?:@!$&'()*+,;=-._~%"
# Seconds without a byte from a server, and for all bytes.
_TIMEOUT = 30
_DEADLINE = 300
_PART = 2**16  # bytes


def is_one_image(value: ImageLike | Iterable[ImageLike]) -> bool:
    """Return whether a value is one image, and not several."""
    if isinstance(value, np.ndarray):
        return value.ndim < 4
    return isinstance(value, (str, os.PathLike, bytes, bytearray, memoryview, Image.Image))


def is_url(text: object) -> bool:
    """Return whether something is the address of a file on the web."""
    return isinstance(text, str) and _URL.match(text) is not None


def as_image(value: ImageLike, *, order: str = "bgr", max_pixels: int = MAX_PIXELS) -> np.ndarray:
    """Return an image as an array, BGR uint8 `(h, w, 3)`.

    Args:
        value: the path of a file, a URL (http or https), the bytes of a file, a PIL image, or an
            array `(h, w, 3)`, `(h, w, 4)`, `(h, w, 1)` or `(h, w)` of values 0..255.
        order: "bgr" or "rgb", that of an array's channels.
        max_pixels: maximum number of pixels that the header of a file may declare.

    Raises:
        OSError: if a file cannot be opened.
        ValueError: if it is no image, a URL cannot be read, or an array has another shape.
        TypeError: if it is of another type.
    """
    if order not in ("bgr", "rgb"):
        raise ValueError(f"order: expected 'bgr' or 'rgb', got {shorten(repr(order))}")
    if is_url(value):
        return decode_image_bgr(fetch(str(value)), str(value), max_pixels=max_pixels)
    if isinstance(value, (str, os.PathLike)):
        return read_image_bgr(value, max_pixels=max_pixels)
    if isinstance(value, (bytes, bytearray, memoryview)):
        return decode_image_bgr(bytes(value), "the bytes of an image", max_pixels=max_pixels)
    if isinstance(value, Image.Image):
        return pillow_to_bgr(value)
    if isinstance(value, np.ndarray):
        return _array_as_image(value, order)
    raise TypeError(
        "expected an image: a path, a URL, bytes, a PIL image or an array, got "
        f"{type(value).__name__}"
    )


def fetch(url: str) -> bytes:
    """Return what is at an address, of `MAX_DOWNLOADED_IMAGE_BYTES` at most.

    Raises:
        ValueError: naming the address, if it cannot be read or is larger.
    """
    end, data = time.monotonic() + _DEADLINE, bytearray()
    try:
        request = urllib.request.Request(_quoted(url), headers={"User-Agent": "keras-retinanet"})
        with urllib.request.urlopen(request, timeout=_TIMEOUT) as answer:
            kind = answer.headers.get_content_type()
            if kind.startswith(("video/", "multipart/")):
                raise ValueError(
                    f"expected an image, got {kind}: name it as a video, by an address that ends "
                    "in .mjpg, .m3u8 or .mp4"
                )
            while part := answer.read1(_PART):
                data += part
                if len(data) > MAX_DOWNLOADED_IMAGE_BYTES:
                    raise ValueError(f"expected at most {MAX_DOWNLOADED_IMAGE_BYTES} bytes")
                if time.monotonic() > end:
                    raise TimeoutError(f"it takes more than {_DEADLINE} seconds")
    except (OSError, ValueError, http.client.HTTPException) as error:
        raise ValueError(f"{shorten(url, 200)}: cannot be read: {shorten(error, 200)}") from None
    return bytes(data)


def _quoted(url: str) -> str:
    """Return an address as a server takes it: with spaces and letters beyond ASCII escaped."""
    parts = urllib.parse.urlsplit(url)
    host = parts.netloc
    if not host.isascii() and parts.hostname:
        host = parts.hostname.encode("idna").decode()
        host += f":{parts.port}" if parts.port else ""
    path, query = (urllib.parse.quote(part, _URL_SIGNS) for part in (parts.path, parts.query))
    return urllib.parse.urlunsplit((parts.scheme, host, path, query, ""))


def _array_as_image(array: np.ndarray, order: str) -> np.ndarray:
    if array.ndim == 2:
        array = array[..., None]
    if array.shape[2:] == (1,):
        array = np.repeat(array, 3, axis=-1)
    is_number = array.dtype == np.uint8 or array.dtype.kind == "f"
    if array.ndim != 3 or array.shape[2] not in (3, 4) or 0 in array.shape or not is_number:
        raise ValueError(
            "expected an image of shape (h, w, 3) with values 0..255, uint8 or float, got an array "
            f"of {array.dtype} and shape {array.shape}"
        )
    pixels = array[..., :3] if order == "bgr" else array[..., 2::-1]
    return np.ascontiguousarray(to_uint8(pixels))
