"""Versions of TensorFlow under their old import path."""

from keras_retinanet.versions import (  # noqa: F401
    BLACKLISTED_TF_VERSIONS,
    MINIMUM_TF_VERSION,
    assert_tf_version,
    check_tf_version,
    tf_version,
    tf_version_ok,
)
