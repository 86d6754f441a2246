"""ImageNet weights: from Keras's cache, or downloaded into it."""

import keras

from keras_retinanet.system.files import keras_home


def fetch(url: str, file_hash: str | None = None) -> str:
    """Return the path of a file in Keras's cache of models, downloaded on first use.

    Args:
        url: where to download it from; the cached file has the same name.
        file_hash: its MD5 or SHA-256 hash; None means not to check it.

    Raises:
        ValueError: if it is not there and cannot be downloaded, or is not the right file.
    """
    name = url.rpartition("/")[2]
    home = keras_home()
    path = home / "models" / name
    try:
        return keras.utils.get_file(
            name, url, cache_dir=str(home), cache_subdir="models", file_hash=file_hash
        )
    except Exception as error:  # get_file raises plain Exception, OSError, ValueError, ...
        reason = " ".join(str(error).replace(url, "it").split())
        raise ValueError(
            f"cannot download the ImageNet weights: put {url} at {path}, or use --weights FILE "
            f"or --no-weights ({reason})"
        ) from error
