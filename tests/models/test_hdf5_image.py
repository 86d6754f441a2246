import resource

import h5py
import keras
import numpy as np
import pytest

from keras_retinanet.models.hdf5_image import hdf5_image
from keras_retinanet.models.snapshots import save_model


@pytest.fixture(scope="module")
def model():
    model = keras.Sequential([keras.Input((30,)), *[keras.layers.Dense(50) for _ in range(20)]])
    model.compile("adam", "mse")
    model.optimizer.build(model.trainable_variables)
    return model


def contents(path):
    found = {}
    with h5py.File(path) as file:
        file.visititems(
            lambda name, item: (
                found.update({name: (dict(item.attrs).keys(), str(item.shape))})
                if isinstance(item, h5py.Dataset)
                else found.update({name: dict(item.attrs).keys()})
            )
        )
        return found, dict(file.attrs).keys()


def test_the_bytes_are_those_of_a_file(tmp_path, model):
    model.save(tmp_path / "usual.h5")
    (tmp_path / "ours.h5").write_bytes(hdf5_image(model))
    assert contents(tmp_path / "ours.h5") == contents(tmp_path / "usual.h5")
    again = keras.models.load_model(tmp_path / "ours.h5", compile=False)
    for found, expected in zip(again.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_array_equal(found, expected)
    assert not (tmp_path / "in memory.h5").exists()


@pytest.mark.parametrize("suffix", [".h5", ".keras"])
def test_a_limit_on_files_leaves_the_old_snapshot(tmp_path, model, suffix):
    path = tmp_path / f"net{suffix}"
    save_model(model, path)
    content = path.read_bytes()
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    for limit in (1, 3000, 20_000, len(content) // 2, len(content) - 1):
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, before[1]))
        try:
            with pytest.raises(OSError, match="File too large") as error:
                save_model(model, path)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
        assert error.value.filename == str(path)
        assert path.read_bytes() == content
    assert list(tmp_path.iterdir()) == [path]
