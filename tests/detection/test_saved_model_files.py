import contextlib
import shutil

import keras
import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.protobuf.saved_model_pb2 import SavedModel

from keras_retinanet.detection.saved_model_files import MAX_PARTS, check_saved_model


def save(path, serve, **attributes):
    """Save a function of a text as a SavedModel, in an object with more attributes."""
    holder = tf.Module()
    for name, value in attributes.items():
        setattr(holder, name, value)
    holder.serve = tf.function(serve, input_signature=[tf.TensorSpec((), tf.string, "images")])
    tf.saved_model.save(holder, str(path), signatures={"serve": holder.serve})
    return str(path)


@contextlib.contextmanager
def edited(path):
    """Yield the content of a SavedModel, and write it back."""
    file = path / "saved_model.pb"
    content = SavedModel.FromString(file.read_bytes())
    yield content
    file.write_bytes(content.SerializeToString())


@pytest.fixture(scope="module")
def with_weights(tmp_path_factory):
    """The folder of a network with weights."""
    weights = tf.Variable([1.0, 2.0])

    def serve(images):
        with_loop = tf.map_fn(lambda x: x * 2, weights)
        return {"boxes": with_loop + tf.cast(tf.strings.length(images), "float32")}

    path = tmp_path_factory.mktemp("models") / "model"
    save(path, serve, weights=weights)
    return path


@pytest.fixture
def network(with_weights, tmp_path):
    """A folder of its own for a test that edits it."""
    return shutil.copytree(with_weights, tmp_path / "model")


def test_a_network_with_weights_passes(with_weights):
    check_saved_model(with_weights)


def test_an_export_of_keras_passes(tmp_path):
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
    model.compile("adam", "mse")
    model.fit(np.zeros((1, 4)), np.zeros((1, 2)), verbose=0)
    model.export(tmp_path / "model", verbose=False)
    check_saved_model(tmp_path / "model")


def nested(images):
    """Hide the operation in a function of a branch of a loop."""
    inner = tf.function(lambda: tf.io.read_file(images))
    return {"boxes": tf.while_loop(lambda i, x: i < 1, lambda i, x: (i + 1, inner()), (0, ""))[1]}


def save_tensors(images):
    tf.raw_ops.SaveV2(prefix=images, tensor_names=["a"], shape_and_slices=[""], tensors=[[1.0]])
    return {"boxes": images}


@pytest.mark.parametrize(
    ("serve", "what"),
    [
        (lambda images: {"boxes": tf.io.read_file(images)}, "ReadFile"),
        (nested, "ReadFile"),
        (save_tensors, "SaveV2"),
        (lambda images: {"boxes": tf.raw_ops.RestoreV2(
            prefix=images, tensor_names=["a"], shape_and_slices=[""], dtypes=[tf.float32])[0]},
         "RestoreV2"),
        (lambda images: {"boxes": tf.io.matching_files(images)}, "MatchingFiles"),
        (lambda images: {"boxes": tf.numpy_function(str, [images], tf.string)}, "PyFunc"),
    ],
)  # fmt: skip
def test_a_program_is_refused(tmp_path, serve, what):
    with pytest.raises(ValueError, match=f"model: expected a network, got a program .*{what}"):
        check_saved_model(save(tmp_path / "model", serve))


def test_functions_that_no_signature_calls_may_not_write_files(tmp_path):
    text = [tf.TensorSpec((), tf.string, "images")]
    hidden = tf.function(save_tensors, input_signature=text)
    path = save(tmp_path / "model", lambda images: {"boxes": images}, hidden=hidden)
    with pytest.raises(ValueError, match="a program that uses SaveV2"):
        check_saved_model(path)


def by_name(graph, node, saver):
    node.op = saver


def by_attribute(graph, node, saver):
    node.op, node.attr["f"].func.name = "PartitionedCall", saver


def in_an_attribute_of_a_function(graph, node, saver):
    node.op, node.attr["f"].func.name = "PartitionedCall", "other"
    node.attr["f"].func.attr["g"].func.name = saver


def as_an_object(graph, node, saver):
    graph.object_graph_def.nodes.add().bare_concrete_function.concrete_function_name = saver


@pytest.mark.parametrize(
    "call", [by_name, by_attribute, in_an_attribute_of_a_function, as_an_object]
)
def test_only_the_saver_may_call_the_functions_of_the_saver(network, call):
    with edited(network) as content:
        (graph,) = content.meta_graphs
        functions = graph.graph_def.library.function
        (saver,) = [one.signature.name for one in functions if "traced_save" in one.signature.name]
        (serve,) = [one for one in functions if "signature_wrapper" in one.signature.name][:1]
        call(graph, serve.node_def.add(name="hidden"), saver)
    with pytest.raises(ValueError, match="a program that uses .*SaveV2"):
        check_saved_model(network)


def without_objects(content):
    content.meta_graphs[0].ClearField("object_graph_def")


def twice(content):
    content.meta_graphs.add().CopyFrom(content.meta_graphs[0])


@pytest.mark.parametrize(
    ("edit", "what"),
    [
        (without_objects, "one without"),
        (twice, "2 graphs"),
        (SavedModel.Clear, "0 graphs"),
    ],
)
def test_graphs_of_tensorflow_1_are_refused(network, edit, what):
    with edited(network) as content:
        edit(content)
    with pytest.raises(ValueError, match=f"model: expected one graph .* got {what}"):
        check_saved_model(network)


def test_the_top_of_a_graph_may_not_write_files(network):
    with edited(network) as content:
        graph = content.meta_graphs[0]
        graph.graph_def.node.add(name="write", op="SaveV2")
        graph.saver_def.restore_op_name = "write"
    with pytest.raises(ValueError, match="a program that uses .*SaveV2"):
        check_saved_model(network)


def by_collection(graph, name):
    graph.collection_def["saved_model_main_op"].node_list.value[:] = [name]


def by_legacy_collection(graph, name):
    graph.collection_def["legacy_init_op"].node_list.value.append(name)


def by_signature(graph, name):
    graph.signature_def["__saved_model_init_op"].outputs["__saved_model_init_op"].name = name


@pytest.mark.parametrize("name", [by_collection, by_legacy_collection, by_signature])
@pytest.mark.parametrize(("op", "inputs"), [("StatefulPartitionedCall", []), ("NoOp", ["^other"])])
def test_operations_that_loaders_run_first_are_refused(network, name, op, inputs):
    with edited(network) as content:
        graph = content.meta_graphs[0]
        graph.graph_def.node.add(name="first", op=op, input=inputs)
        name(graph, "first")
    with pytest.raises(ValueError, match="a program that uses operations that run first"):
        check_saved_model(network)


@pytest.mark.parametrize("kind", ["saveable_objects", "registered_name", "registered_saver"])
def test_objects_that_load_themselves_are_refused(network, kind):
    with edited(network) as content:
        thing = content.meta_graphs[0].object_graph_def.nodes[0]
        if kind == "saveable_objects":
            thing.saveable_objects["weights"].restore_function = 1
        else:
            setattr(thing, kind, "tf.StaticHashTable")
    with pytest.raises(ValueError, match="a program that uses an object that loads itself"):
        check_saved_model(network)


def test_functions_that_take_the_place_of_others_are_refused(network):
    with edited(network) as content:
        for function in content.meta_graphs[0].graph_def.library.function:
            function.attr["api_implements"].s = b"one"
    with pytest.raises(ValueError, match="a program that uses functions in place of others"):
        check_saved_model(network)


@pytest.mark.parametrize(
    "op", ["DumpTensor", "Skipgram", "RpcClient", "DecodeProtoV2", "XlaLaunch"]
)
def test_operations_that_few_know_are_refused(network, op):
    with edited(network) as content:
        content.meta_graphs[0].graph_def.library.function[0].node_def.add(name="x", op=op)
    with pytest.raises(ValueError, match=f"a program that uses {op}"):
        check_saved_model(network)


def many_nodes(graph):
    graph.graph_def.MergeFromString(b"\x0a\x00" * MAX_PARTS)


def many_functions(graph):
    graph.graph_def.library.MergeFromString(b"\x0a\x00" * MAX_PARTS)


def many_objects(graph):
    graph.object_graph_def.MergeFromString(b"\x0a\x00" * MAX_PARTS)


def many_calls(graph):
    graph.graph_def.node.add().attr["a"].list.MergeFromString(b"\x4a\x00" * MAX_PARTS)


@pytest.mark.parametrize("fill", [many_nodes, many_functions, many_objects, many_calls])
def test_graphs_of_too_many_parts_are_refused_in_time(network, fill):
    with edited(network) as content:
        fill(content.meta_graphs[0])
    with pytest.raises(ValueError, match="model: expected a graph of at most .* parts, got more"):
        check_saved_model(network)


def test_what_runs_as_it_is_loaded_is_refused(tmp_path):
    file = tmp_path / "words.txt"
    file.write_text("a")
    table = tf.lookup.StaticHashTable(
        tf.lookup.TextFileInitializer(
            str(file), tf.string, tf.lookup.TextFileIndex.WHOLE_LINE,
            tf.int64, tf.lookup.TextFileIndex.LINE_NUMBER,
        ),
        -1,
    )  # fmt: skip
    path = save(tmp_path / "model", lambda images: {"boxes": images}, table=table)
    with pytest.raises(ValueError, match="an object of the kind"):
        check_saved_model(path)


def test_a_damaged_graph_is_named(tmp_path):
    (tmp_path / "saved_model.pb").write_bytes(b"\xff" * 99)
    with pytest.raises(ValueError, match="saved_model.pb is damaged"):
        check_saved_model(tmp_path)
