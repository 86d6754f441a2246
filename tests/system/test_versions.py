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
