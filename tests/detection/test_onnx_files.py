import numpy as np
import pytest

from keras_retinanet.detection.onnx_files import MAX_FIELDS, read_metadata

onnx = pytest.importorskip("onnx")


def model(tensor=None, subgraph=None):
    """A model of one node; a tensor among its weights, or a graph inside it."""
    tensor = tensor or onnx.numpy_helper.from_array(np.arange(5, dtype="float32"), "w")
    value = onnx.helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, [None])
    node = onnx.helper.make_node("Add", ["x", "w"], ["x2"], extra=subgraph)
    made = onnx.helper.make_model(onnx.helper.make_graph([node], "g", [value], [], [tensor]))
    onnx.helper.set_model_props(made, {"keras_retinanet": '{"ä": 1}', "other": ""})
    return made


def external():
    tensor = onnx.TensorProto(name="w", data_type=1, dims=[5], data_location=1)
    tensor.external_data.add(key="location", value="../../etc/passwd")
    return tensor


def test_the_metadata_is_that_of_onnx(tmp_path):
    path = tmp_path / "m.onnx"
    onnx.save(model(), path)
    assert read_metadata(path) == {"keras_retinanet": '{"ä": 1}'.encode(), "other": b""}


def nested(depth):
    made = model(external() if depth == 0 else None, nested(depth - 1) if depth else None)
    return made.graph


@pytest.mark.parametrize("depth", [0, 1, 3])
def test_weights_in_other_files_are_refused(tmp_path, depth):
    made = model()
    made.graph.CopyFrom(nested(depth))
    path = tmp_path / "m.onnx"
    path.write_bytes(made.SerializeToString())
    with pytest.raises(ValueError, match=r"m\.onnx: its weights are in other files"):
        read_metadata(path)


@pytest.mark.parametrize("content", [b"", b"\0", b"text", b"PK\3\4" * 99, b"\xff" * 99])
def test_other_files_are_named(tmp_path, content):
    path = tmp_path / "m.onnx"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"m\.onnx: expected an ONNX file"):
        read_metadata(path)


MALFORMED = {
    "a key of more than 32 bits": b"\xaa\x81\x80\x80\x10\x00",
    "a key of too many bytes": b"\x8a\x00\x00",
    "a length of too many bytes": b"\x7a\x80\x00",
    "a length of more than 31 bits": b"\x7a\x80\x80\x80\x80\x08",
    "a value of more than 64 bits": b"\x08" + b"\x80" * 9 + b"\x02",
    "a value of too many bytes": b"\x08\x80\x00",
    "a field without a number": b"\x02\x00",
    "a group": b"\x7b\x7c",
    "an unknown kind": b"\x7e\x7f",
    "a second graph": b"\x3a\x00",
}


@pytest.mark.parametrize("name", MALFORMED)
def test_fields_that_no_writer_makes_are_refused(tmp_path, name):
    path = tmp_path / "m.onnx"
    path.write_bytes(model().SerializeToString() + MALFORMED[name])
    with pytest.raises(ValueError, match=r"m\.onnx: expected an ONNX file"):
        read_metadata(path)


def field(key, content):
    """A field of less than 128 bytes."""
    return key + bytes([len(content)]) + content


def test_a_key_that_is_cut_to_that_of_external_data_is_refused(tmp_path):
    entry = onnx.StringStringEntryProto(key="location", value="/etc/passwd")
    tensor = onnx.TensorProto(name="w", data_type=1, dims=[5], data_location=1)
    hidden = field(b"\xea\x80\x80\x80\x10", entry.SerializeToString())  # 13, and 1 << 32
    graph = field(b"\x2a", tensor.SerializeToString() + hidden)
    path = tmp_path / "m.onnx"
    path.write_bytes(b"\x08\x08" + field(b"\x3a", graph))
    with pytest.raises(ValueError, match=r"m\.onnx: expected an ONNX file"):
        read_metadata(path)


@pytest.mark.parametrize("value", [-1, 2**63 - 1, 0, 128])
def test_plain_numbers_may_have_64_bits(tmp_path, value):
    made = model()
    made.model_version = value
    path = tmp_path / "m.onnx"
    onnx.save(made, path)
    assert "keras_retinanet" in read_metadata(path)


def test_files_of_too_many_fields_are_refused_in_time(tmp_path):
    path = tmp_path / "m.onnx"
    path.write_bytes(model().SerializeToString() + b"\x08\x08" * MAX_FIELDS)
    with pytest.raises(ValueError, match=r"m\.onnx: expected at most 500000 fields, got more"):
        read_metadata(path)
    attribute = model().graph.node[0].attribute.add(ints=[0] * MAX_FIELDS)
    made = model()
    made.graph.node[0].attribute.append(attribute)
    path.write_bytes(made.SerializeToString())
    with pytest.raises(ValueError, match=r"m\.onnx: expected at most 500000 fields, got more"):
        read_metadata(path)


def test_damaged_files_are_refused_or_read_but_nothing_else(tmp_path):
    path = tmp_path / "m.onnx"
    whole = model().SerializeToString()
    rng = np.random.default_rng(0)
    for _ in range(500):
        data = bytearray(whole)
        if rng.random() < 0.5:
            del data[rng.integers(len(data)) :]
        else:
            data[rng.integers(len(data))] = rng.integers(256)
        path.write_bytes(bytes(data))
        try:
            read_metadata(path)
        except ValueError as error:
            assert "m.onnx: " in str(error)


def test_graphs_deep_inside_each_other_are_refused(tmp_path):
    made = model()
    made.graph.CopyFrom(nested(25))
    path = tmp_path / "m.onnx"
    path.write_bytes(made.SerializeToString())
    with pytest.raises(ValueError, match="expected an ONNX file"):
        read_metadata(path)


def test_weights_in_other_files_are_found_in_sparse_tensors_and_functions(tmp_path):
    path = tmp_path / "m.onnx"
    made = model()
    attribute = made.graph.node[0].attribute.add(name="sparse", type=11)
    attribute.sparse_tensor.values.CopyFrom(external())
    attribute.sparse_tensor.dims[:] = [300, 300]
    path.write_bytes(made.SerializeToString())
    with pytest.raises(ValueError, match="its weights are in other files"):
        read_metadata(path)
    made = model()
    made.functions.add(name="f").node.add(op_type="Constant").attribute.add(
        name="value"
    ).t.CopyFrom(external())
    path.write_bytes(made.SerializeToString())
    with pytest.raises(ValueError, match="expected an ONNX file"):
        read_metadata(path)
