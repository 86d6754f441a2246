"""Which versions of TensorFlow will do."""

MINIMUM_TF_VERSION = 2, 21, 0
BLACKLISTED_TF_VERSIONS = []


class WrongVersionError(ImportError, AssertionError):
    """TensorFlow is too old; an AssertionError too, which keras-retinanet 1.0.0 raised."""


def tf_version() -> tuple[int, ...]:
    """Return the version of TensorFlow, such as (2, 21, 0)."""
    import tensorflow as tf

    return tuple(int(part) for part in tf.version.VERSION.split("-")[0].split("."))


def tf_version_ok(minimum_tf_version=MINIMUM_TF_VERSION, blacklisted=BLACKLISTED_TF_VERSIONS):
    """Return whether TensorFlow has at least a version, and none of some others."""
    return tf_version() >= minimum_tf_version and tf_version() not in blacklisted


def assert_tf_version(minimum_tf_version=MINIMUM_TF_VERSION, blacklisted=BLACKLISTED_TF_VERSIONS):
    """Raise WrongVersionError, an ImportError, unless `tf_version_ok`."""
    if not tf_version_ok(minimum_tf_version, blacklisted):
        wanted, found = (
            ".".join(map(str, version)) for version in (minimum_tf_version, tf_version())
        )
        raise WrongVersionError(
            f"expected TensorFlow {wanted} or later (but none of {list(blacklisted)}), got {found}"
        )


def check_tf_version() -> None:
    """Do as `assert_tf_version`; keras-retinanet 1.0.0 ended the program here."""
    assert_tf_version()
