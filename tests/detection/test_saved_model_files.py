import pytest
import tensorflow as tf

from keras_retinanet.detection.saved_model_files import check_saved_model


def save(path, serve, **attributes):
    """Save a function of a text as a SavedModel, in an object with more attributes."""
    holder = tf.Module()
    for name, value in attributes.items():
        setattr(holder, name, value)
    holder.serve = tf.function(serve, input_signature=[tf.TensorSpec((), tf.string, "images")])
    tf.saved_model.save(holder, str(path), signatures={"serve": holder.serve})
    return str(path)


def test_a_network_with_weights_passes(tmp_path):
    weights = tf.Variable([1.0, 2.0])

    def serve(images):
        with_loop = tf.map_fn(lambda x: x * 2, weights)
        return {"boxes": with_loop + tf.cast(tf.strings.length(images), "float32")}

    check_saved_model(save(tmp_path / "model", serve, weights=weights))


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
