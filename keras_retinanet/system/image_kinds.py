"""Which files are images by their names, and what a file that is no image seems to be."""

import os

from keras_retinanet.system.types import StrPath

_EXTENSIONS = """
.jpg .jpeg .png .bmp .tif .tiff .webp .avif .avifs .jpe .jfif .mpo .apng .dib .gif
.jp2 .j2k .j2c .jpc .jpf .jpx .ppm .pgm .pbm .pnm .pam .pfm .pxm .hdr .pic .sr .ras
.tga .icb .vda .vst .pcx .dcx .ico .cur .icns .psd .qoi .sgi .rgb .rgba .bw .dds .xbm .xpm
.im .msp .pxr .blp .ftc .ftu .gbr .fli .flc .pcd .fit .fits
"""
# What OpenCV or Pillow reads, the usual ones first. Listed, since asking them takes time at the
# start of each command.
IMAGE_EXTENSIONS = tuple(_EXTENSIONS.split())

_VIDEO = "a video: take frames out first, such as with `ffmpeg -i VIDEO frame%05d.jpg`"
_HEIC = "a HEIC image, which is not read: convert it to JPEG first"
_RAW = "a raw photo of a camera, which is not read: convert it to JPEG first"
_JPEG_XL = "a JPEG XL image, which is not read: convert it to JPEG first"
_ARRAY = "a NumPy array: save it as PNG first"
_PDF = "a PDF document: save its pages as images first"
_DRAWING = "a vector drawing: save it as PNG first"

# Ends of names -> what such a file is.
_BY_EXTENSION = {
    extension: words
    for extensions, words in [
        (
            ".mp4 .m4v .avi .mov .mkv .webm .mpg .mpeg .wmv .flv .3gp .mts .m2ts .ts .ogv .vob",
            _VIDEO,
        ),
        (".heic .heif", _HEIC),
        (".cr2 .cr3 .nef .arw .raf .orf .rw2 .dng", _RAW),
        (".jxl", _JPEG_XL),
        (".npy .npz", _ARRAY),
        (".pdf", _PDF),
        (".svg .eps .ps .wmf .emf", _DRAWING),
        (".keras .h5 .hdf5", "a model or another HDF5 file"),
        (".txt .csv .json .xml .yaml .yml .md .html", "a text file"),
        (".zip .tar .gz .tgz .7z .rar", "an archive: unpack it first"),
    ]
    for extension in extensions.split()
}
# First bytes of a file, from a place on -> what it is.
_BY_CONTENT = [
    (8, b"AVI ", _VIDEO),
    (0, b"\x1a\x45\xdf\xa3", _VIDEO),
    (0, b"\0\0\1\xba", _VIDEO),
    (0, b"\0\0\1\xb3", _VIDEO),
    (0, b"FLV\1", _VIDEO),
    (0, b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", _VIDEO),
    *((4, b"ftyp" + brand, _HEIC) for brand in (b"hei", b"hev", b"mif1", b"msf1")),
    (4, b"ftypavi", ""),  # AVIF, that cannot be decoded
    (4, b"ftypcrx", _RAW),
    (4, b"ftypjp", ""),
    (4, b"ftyp", _VIDEO),
    (0, b"\xff\x0a", _JPEG_XL),
    (0, b"\0\0\0\x0cJXL ", _JPEG_XL),
    (0, b"\x93NUMPY", _ARRAY),
    (0, b"%PDF", _PDF),
    (0, b"%!PS", _DRAWING),
    (0, b"<svg", _DRAWING),
    (0, b"\x89HDF", "a model or another HDF5 file"),
    (0, b"PK\3\4", "an archive such as .zip or .keras"),
    (0, b"\x1f\x8b", "a compressed file: unpack it first"),
    (0, b"<!DOCTYPE html", "a web page: the download failed"),
    (0, b"<html", "a web page: the download failed"),
    (0, b"version https://git-lfs", "a pointer of Git LFS: run `git lfs pull`"),
]


def is_image_name(name: StrPath) -> bool:
    """Return whether a file is an image by the end of its name."""
    return os.fspath(name).lower().endswith(IMAGE_EXTENSIONS)


def kind_by_name(name: StrPath) -> str:
    """Return what a file is by the end of its name, if it is no image; empty if unknown."""
    return _BY_EXTENSION.get(os.path.splitext(os.fspath(name))[1].lower(), "")


def is_video_kind(kind: str) -> bool:
    """Return whether what `kind_by_name` or `kind_by_content` returned means a video."""
    return kind == _VIDEO


def kind_by_content(head: bytes) -> str:
    """Return what a file that is no image is by its first bytes; empty if unknown."""
    for place, signature, words in _BY_CONTENT:
        if head[place : place + len(signature)].lower() == signature.lower():
            return words
    return ""
