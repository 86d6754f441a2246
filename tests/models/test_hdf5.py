import h5py
import numpy as np
import pytest

from keras_retinanet.models.hdf5 import open_hdf5, stored_weights


@pytest.fixture
def path(tmp_path):
    return tmp_path / "file.h5"


def read(path, submodels=None):
    """The weights in a file as plain arrays."""
    with open_hdf5(path) as file:
        return {
            layer: [(name, data[()].tolist()) for name, data in weights]
            for layer, weights in stored_weights(file, submodels or {}).items()
        }


def write(path, layers):
    """Write `{layer: {weight name: value}}` as Keras 2 did; weights in the root."""
    with h5py.File(path, "w") as file:
        file.attrs["layer_names"] = np.array(list(layers), "S")
        for layer, weights in layers.items():
            group = file.create_group(layer)
            group.attrs["weight_names"] = np.array(list(weights), "S")
            for name, value in weights.items():
                group[name] = value


def test_reads_weights_by_layer(path):
    write(path, {"conv1": {"conv1_1/kernel:0": [1.0], "conv1_1/bias:0": [2.0]}, "relu": {}})
    assert read(path) == {"conv1": [("kernel", [1.0]), ("bias", [2.0])]}


def test_reads_the_old_name_of_depthwise_kernels(path):
    write(path, {"dw": {"dw/depthwise_kernel:0": [1.0]}})
    assert read(path) == {"dw": [("kernel", [1.0])]}


@pytest.mark.parametrize(
    "names", [("head_0", "head_1", "head"), ("head_0_1", "head_1_1", "head_1"), ("x/head_0",) * 0]
)
def test_reads_submodels_whatever_tensorflow_1_appended(path, names):
    values = {f"{name}/kernel:0": [float(i)] for i, name in enumerate(names)}
    write(path, {"submodel": values})
    layers = ["head_0", "head_1", "head"]
    expected = {layer: [("kernel", [float(i)])] for i, layer in enumerate(layers[: len(names)])}
    assert read(path, {"submodel": layers}) == expected


def test_reads_lists_of_names_that_were_cut(path):
    write(path, {"a": {"a/kernel:0": [1.0]}, "b": {"b/kernel:0": [2.0]}})
    with h5py.File(path, "r+") as file:
        del file.attrs["layer_names"]
        file.attrs["layer_names0"] = np.array(["a"], "S")
        file.attrs["layer_names1"] = np.array(["b"], "S")
    assert list(read(path)) == ["a", "b"]


def test_reads_keras_3_weights_by_the_names_of_the_layers(path):
    with h5py.File(path, "w") as file:
        for place, name in [("layers/conv2d", "stem"), ("layers/functional/layers/dense", "last")]:
            group = file.create_group(f"{place}/vars")
            group.attrs["name"] = name
            group["1"], group["0"] = [2.0], [1.0]
        file.create_group("optimizer/vars").attrs["name"] = "adam"
        file["optimizer/vars/0"] = 3
    expected = [(None, [1.0]), (None, [2.0])]
    assert read(path) == {"stem": expected, "last": expected}


def _soft_link(file, path):
    file["other"] = h5py.SoftLink("/conv1")


def _external_link(file, path):
    file["conv1/other"] = h5py.ExternalLink("elsewhere.h5", "/weights")


def _external_storage(file, path):
    outside = path.with_suffix(".bin")
    outside.write_bytes(bytes(8))
    file.create_dataset("raw", (2,), "float32", external=[(str(outside), 0, 8)])


def _virtual(file, path):
    layout = h5py.VirtualLayout((2,), "float32")
    layout[:] = h5py.VirtualSource("elsewhere.h5", "data", (2,))
    file.create_virtual_dataset("virtual", layout)


@pytest.mark.parametrize(
    ("damage", "text"),
    [
        (_soft_link, "/other is a link"),
        (_external_link, "/conv1/other is a link"),
        (_external_storage, "/raw keeps its values in another file"),
        (_virtual, "/virtual keeps its values in another file"),
    ],
)
def test_refuses_what_points_elsewhere(path, damage, text):
    write(path, {"conv1": {"conv1/kernel:0": [1.0]}})
    with h5py.File(path, "r+") as file:
        damage(file, path)
    with pytest.raises(ValueError, match=text):
        read(path)
    with h5py.File(path, "r") as file, pytest.raises(ValueError, match=text):
        read(file)


def test_hard_links_in_a_circle_end(path):
    write(path, {"conv1": {"conv1/kernel:0": [1.0]}})
    with h5py.File(path, "r+") as file:
        file["conv1/again"] = file["/"]
    assert list(read(path)) == ["conv1"]


@pytest.mark.parametrize("content", [b"", b"not HDF5", b"PK\x03\x04 no archive"])
def test_refuses_other_files(path, content):
    path.write_bytes(content)
    with pytest.raises(ValueError, match="expected an HDF5 file .* or a .keras archive"):
        read(path)


@pytest.mark.parametrize("share", [0.2, 0.5, 0.99])
def test_refuses_truncated_files(path, share):
    write(path, {"conv1": {"conv1/kernel:0": np.zeros(5000)}})
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(ValueError, match="truncated"):
        read(path)


def test_refuses_damaged_files(path):
    write(path, {f"layer{i}": {f"layer{i}/kernel:0": [1.0]} for i in range(20)})
    content = bytearray(path.read_bytes())
    # The first group's symbol table stands early in the file.
    content[600:1200] = bytes(600)
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"file\.h5"):
        read(path)


def test_refuses_hdf5_without_weights(path):
    with h5py.File(path, "w") as file:
        file["numbers"] = [1, 2]
    with pytest.raises(ValueError, match="holds no weights of Keras"):
        read(path)


def test_a_missing_file_is_an_os_error(path):
    with pytest.raises(FileNotFoundError):
        read(path)
