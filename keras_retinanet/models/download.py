"""ImageNet weights: from Keras's cache, or downloaded into it."""

from pathlib import Path

from keras_retinanet.system.downloads import digest, download
from keras_retinanet.system.files import keras_home


def fetch(url: str, file_hash: str | None = None) -> str:
    """Return the path of a file in Keras's cache of models, downloaded on first use.

    A cached file with another hash, such as half of a download, is downloaded again.

    Args:
        url: where to download it from; the cached file has the same name.
        file_hash: its MD5 hash; None means not to check it.

    Raises:
        ValueError: if it is not there and cannot be downloaded, or is not the right file.
    """
    path = keras_home() / "models" / url.rpartition("/")[2]

    def check(file: Path) -> None:
        if file_hash is not None and (found := digest(file, "md5")) != file_hash:
            raise ValueError(f"expected the MD5 {file_hash}, got {found}")

    if path.exists() and (file_hash is None or digest(path, "md5") == file_hash):
        return str(path)
    try:
        download(url, path, check)
    except (OSError, ValueError) as error:
        raise ValueError(
            f"cannot download the ImageNet weights: put {url} at {path}, or use --weights FILE "
            f"or --no-weights ({error})"
        ) from error
    return str(path)
