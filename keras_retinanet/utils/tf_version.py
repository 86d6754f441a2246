"""Versions of TensorFlow under their old import path."""

from keras_retinanet.system.versions import (
    BLACKLISTED_TF_VERSIONS,
    MINIMUM_TF_VERSION,
    assert_tf_version,
    check_tf_version,
    tf_version,
    tf_version_ok,
)

__all__ = [
    "BLACKLISTED_TF_VERSIONS",
    "MINIMUM_TF_VERSION",
    "assert_tf_version",
    "check_tf_version",
    "tf_version",
    "tf_version_ok",
]
