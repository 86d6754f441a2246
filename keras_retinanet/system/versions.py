"""The versions of TensorFlow and Keras that this package needs."""

from collections.abc import Sequence

Version = tuple[int, ...]

MINIMUM_TF_VERSION: Version = (2, 21, 0)
BLACKLISTED_TF_VERSIONS: list[Version] = []
MINIMUM_KERAS_VERSION: Version = (3, 15, 1)


class WrongVersionError(ImportError, AssertionError):
    """The installed version does not work; an AssertionError too, as in keras-retinanet 1.0.0."""


def tf_version() -> Version:
    """Return the version of TensorFlow, such as (2, 21, 0)."""
    import tensorflow as tf

    return _parse(tf.version.VERSION)


def tf_version_ok(
    minimum_tf_version: Version = MINIMUM_TF_VERSION,
    blacklisted: Sequence[Version] = BLACKLISTED_TF_VERSIONS,
) -> bool:
    """Return whether TensorFlow has at least the minimum version and no blacklisted one."""
    return tf_version() >= minimum_tf_version and tf_version() not in blacklisted


def assert_tf_version(
    minimum_tf_version: Version = MINIMUM_TF_VERSION,
    blacklisted: Sequence[Version] = BLACKLISTED_TF_VERSIONS,
) -> None:
    """Raise WrongVersionError, an ImportError, unless `tf_version_ok`."""
    if not tf_version_ok(minimum_tf_version, blacklisted):
        raise WrongVersionError(
            f"expected TensorFlow {_text(minimum_tf_version)} or later (but none of "
            f"{list(blacklisted)}), got {_text(tf_version())}"
        )


def check_tf_version() -> None:
    """Call `assert_tf_version`; keras-retinanet 1.0.0 ended the program here."""
    assert_tf_version()


def check_keras_version() -> None:
    """Raise WrongVersionError, an ImportError, if Keras is too old.

    Releases 0.x of keras-retinanet had this function and ended the program here.
    """
    import keras

    found = _parse(keras.__version__)
    if found < MINIMUM_KERAS_VERSION:
        raise WrongVersionError(
            f"expected Keras {_text(MINIMUM_KERAS_VERSION)} or later, got {_text(found)}"
        )


def _parse(version: str) -> Version:
    """Return the three numbers that a version such as 2.21.0-rc1 or 3.15.1.dev0 starts with."""
    return tuple(int(part) for part in version.split("-")[0].split(".")[:3])


def _text(version: Version) -> str:
    return ".".join(map(str, version))
