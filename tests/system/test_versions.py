import keras
import pytest
import tensorflow as tf

from keras_retinanet.system import versions


@pytest.mark.parametrize(
    ("found", "ok"),
    [("2.21.0", True), ("2.22.1-rc0", True), ("3.0.0", True), ("2.20.9", False), ("1.99.0", False)],
)
def test_versions_are_compared_by_their_numbers(found, ok, monkeypatch):
    monkeypatch.setattr(tf.version, "VERSION", found)
    assert versions.tf_version_ok() is ok
    if ok:
        versions.check_tf_version()
    else:
        for error in (ImportError, AssertionError):
            with pytest.raises(error, match=f"expected TensorFlow 2.21.0 or later .* got {found}"):
                versions.check_tf_version()


def test_a_version_can_be_refused(monkeypatch):
    monkeypatch.setattr(tf.version, "VERSION", "2.30.0")
    assert versions.tf_version() == (2, 30, 0)
    assert not versions.tf_version_ok(blacklisted=[(2, 30, 0)])
    assert not versions.tf_version_ok(minimum_tf_version=(2, 30, 1))


@pytest.mark.parametrize("found", ["3.15.1", "3.16.0.dev2026", "4.0.0"])
def test_keras_is_new_enough(found, monkeypatch):
    monkeypatch.setattr(keras, "__version__", found)
    versions.check_keras_version()


def test_an_old_keras_is_named(monkeypatch):
    monkeypatch.setattr(keras, "__version__", "3.15.0")
    with pytest.raises(ImportError, match=r"expected Keras 3\.15\.1 or later, got 3\.15\.0"):
        versions.check_keras_version()
