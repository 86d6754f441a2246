"""Files from the network: downloaded with Keras's progress bar, checked before they are used."""

import hashlib
from collections.abc import Callable
from pathlib import Path

from keras_retinanet.system.files import only_regular, remove_leftovers, replacing
from keras_retinanet.system.types import StrPath

# Seconds; a download that was begun earlier is surely dead, also one of another machine.
_MAX_AGE = 7 * 24 * 3600


class DownloadError(ValueError):
    """A file could not be downloaded."""


def download(url: str, path: Path, check: Callable[[Path], None]) -> None:
    """Download a file, and put it at a path once it has passed a check.

    A file that was there is replaced. If anything fails, or the program is stopped, the folder is
    left as it was. Several processes may download the same file: each has its own copy until the
    end.

    Args:
        url: its address.
        path: where to put it; folders are made.
        check: called with the path of the whole file, under another name in the same folder;
            raises ValueError to refuse it.

    Raises:
        DownloadError: if it cannot be downloaded.
        OSError: if it cannot be written.
        ValueError: of the check.
    """
    import keras

    with replacing(path) as temporary:
        remove_leftovers(path.parent, min_age=_MAX_AGE)
        try:
            keras.utils.get_file(
                temporary.name,
                url,
                # Below a folder that cannot be written, Keras would choose one in /tmp.
                cache_subdir=str(path.parent.resolve()),
                force_download=True,
            )
        except Exception as error:  # plain Exception, OSError, ValueError, ...
            print()  # Keras's bar stands on this line
            reason = " ".join(str(error).replace(url, "it").split())
            reason = reason.removeprefix("URL fetch failure on it: ").removeprefix("None -- ")
            raise DownloadError(reason) from error
        check(temporary)


def digest(path: StrPath, algorithm: str) -> str:
    """Return the digest of a regular file, such as its "sha256", in hexadecimal.

    Raises:
        OSError: if it cannot be read.
        ValueError: if it is no regular file.
    """
    with open(path, "rb", opener=only_regular) as file:
        return hashlib.file_digest(file, algorithm).hexdigest()
