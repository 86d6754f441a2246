import json
import os
import zipfile
from dataclasses import replace

import keras
import numpy as np
import pytest

from keras_retinanet import models
from keras_retinanet.models.checksum import add_checksum
from keras_retinanet.training import compiling, state
from keras_retinanet.training.record import PREVIOUS_STATE, RECORD, STATE, VARIABLES, RunRecord
from keras_retinanet.training.state import StateWriter, find_state
from tests import tiny
from tests.fakes import MemoryGenerator, picture, truth


@pytest.fixture(autouse=True)
def tiny_backbone(monkeypatch):
    """The backbone "tiny" in the table."""
    monkeypatch.setitem(models.BACKBONES, tiny.NAME, tiny.ENTRY)


def make_model():
    """Return a compiled model, small enough for tests, whose optimizer has a state."""
    model = models.backbone("tiny").retinanet(num_classes=1, feature_size=8)
    compile_model(model)
    rng = np.random.default_rng(1)
    for variable in (*model.optimizer.variables[2:], *model.metrics_variables):
        variable.assign(rng.uniform(0, 1, variable.shape))
    model.optimizer.iterations.assign(7)
    return model


def compile_model(model):
    compiling.compile_model(model, 0.25)


@pytest.fixture(scope="module")
def network():
    """A model for tests that do not change it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(models.BACKBONES, tiny.NAME, tiny.ENTRY)
        return make_model()


def values(variables):
    return [np.asarray(variable) for variable in variables]


def assert_same(ones, others):
    for one, other in zip(ones, others, strict=True):
        np.testing.assert_array_equal(one, other)


def write(folder, network, *epochs, continues=False):
    """Write a state after each of some epochs."""
    writer = StateWriter(folder, continues=continues)
    for epoch in epochs:
        writer.write(network, RunRecord(epoch, {"lr": 0.5}, {"Early": {"wait": 3}}))


def epochs_in(folder):
    """Return the epochs in the state and the one before it; None where there is none."""
    records = [RunRecord.of_state_file(folder / name) for name in (STATE, PREVIOUS_STATE)]
    return tuple(record and record.epoch for record in records)


def test_all_of_a_model_comes_back(tmp_path, network):
    record = RunRecord(3, {"lr": 0.5, "steps": None}, {"A": {"best": np.inf}}, 2, 0.25, False)
    StateWriter(tmp_path, continues=False).write(network, record)
    assert [path.name for path in tmp_path.iterdir()] == [STATE]
    found = find_state(tmp_path)
    assert replace(found.record, variables=()) == record
    again = found.load_model()
    assert [path.name for path in tmp_path.iterdir()] == [STATE]
    assert not again.compiled
    assert again.info == network.info
    assert_same(again.get_weights(), network.get_weights())
    compile_model(again)
    found.restore(again)
    assert_same(values(again.optimizer.variables), values(network.optimizer.variables))
    assert int(again.optimizer.iterations) == 7
    again.reset_metrics()
    found.restore_metrics(again)
    assert_same(values(again.metrics_variables), values(network.metrics_variables))


def test_averages_accumulated_gradients_and_the_scale_of_the_loss_come_back(tmp_path):
    def compile_with(model):
        optimizer = compiling.make_optimizer("adam", 0.25, accumulate=2, ema=0.5)
        scaled = keras.optimizers.LossScaleOptimizer(optimizer)
        compiling.compile_model(model, optimizer=scaled)

    model = models.backbone("tiny").retinanet(num_classes=1, feature_size=8)
    compile_with(model)
    names = [name for name, _ in state.state_variables(model)]
    for each in ("step_counter", "dynamic_scale", "iteration", "learning_rate"):
        assert f"optimizer/{each}" in names
    for each in ("momentum", "average", "gradient_accumulator"):
        count = sum(name.endswith(f"_{each}") for name in names)
        assert count == len(model.trainable_variables), each
    rng = np.random.default_rng(1)
    for variable in model.optimizer.variables:
        variable.assign(rng.integers(1, 99, variable.shape))
    StateWriter(tmp_path, continues=False).write(model, RunRecord(3))
    found = find_state(tmp_path)
    again = found.load_model()
    compile_with(again)
    assert names == [name for name, _ in state.state_variables(again)]
    found.restore(again)
    assert_same(values(again.optimizer.variables), values(model.optimizer.variables))


def test_random_layers_go_on(tmp_path):
    inputs = keras.Input((50,))
    model = keras.Model(inputs, keras.layers.Dropout(0.5)(inputs))
    model.compile("sgd", "mse")
    model.optimizer.build(model.trainable_variables)
    StateWriter(tmp_path, continues=False).write(model, RunRecord(1))
    x = np.ones((1, 50), "float32")
    expected = np.asarray(model(x, training=True))
    assert 0 < (expected == 0).sum() < 50
    assert not np.array_equal(model(x, training=True), expected)
    find_state(tmp_path).restore(model)
    np.testing.assert_array_equal(model(x, training=True), expected)


def test_the_model_in_training_stays_as_it_was(tmp_path, network):
    optimizer = network.optimizer
    write(tmp_path, network, 1)
    assert network.optimizer is optimizer
    assert network.compiled


def test_the_one_before_is_kept_and_that_of_another_run_is_not(tmp_path, network):
    write(tmp_path, network, 1)
    assert epochs_in(tmp_path) == (1, None)
    write(tmp_path, network, 2, 3, continues=True)
    assert epochs_in(tmp_path) == (3, 2)
    write(tmp_path, network, 11)
    assert epochs_in(tmp_path) == (11, None)
    write(tmp_path, network, 12, continues=True)
    assert epochs_in(tmp_path) == (12, 11)


def test_without_a_file_there_is_no_state(tmp_path):
    assert find_state(tmp_path) is None
    assert find_state(tmp_path / "nowhere") is None
    assert RunRecord.of_state(tmp_path) is None


DAMAGES = {
    "truncated": lambda data: data[: len(data) // 2],
    "flipped": lambda data: data[:5000] + bytes([data[5000] ^ 1]) + data[5001:],
    "flipped in its list of members": lambda data: data[:-60] + b"x" + data[-59:],
    "empty": lambda data: b"",
    "foreign": lambda data: b"something else" * 100,
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_a_damaged_state_is_named_and_the_one_before_it_used(tmp_path, network, damage):
    write(tmp_path, network, 1, 2)
    path = tmp_path / STATE
    path.write_bytes(damage(path.read_bytes()))
    with pytest.warns(UserWarning, match=f"{path}: damaged or no state.* the state before it"):
        found = find_state(tmp_path)
    assert found.record.epoch == 1
    # The damaged one cannot take the place of the one before it any more.
    assert epochs_in(tmp_path) == (1, None)
    write(tmp_path, network, 2, continues=True)
    assert epochs_in(tmp_path) == (2, 1)


def test_the_one_before_is_used_if_the_process_died_between_the_two(tmp_path, network):
    write(tmp_path, network, 1, 2)
    os.unlink(tmp_path / STATE)
    assert find_state(tmp_path).record.epoch == 1


def test_where_all_are_damaged_nothing_is_begun(tmp_path, network):
    write(tmp_path, network, 1, 2)
    for name in (STATE, PREVIOUS_STATE):
        (tmp_path / name).write_bytes(b"x")
    with pytest.raises(ValueError, match=f"{STATE}: .*{PREVIOUS_STATE}: .*move them away"):
        find_state(tmp_path)


def rewrite(path, **members):
    """Replace members of a state; the checksum is right again."""
    with zipfile.ZipFile(path) as archive:
        contents = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in {**contents, **members}.items():
            archive.writestr(name, data)
    add_checksum(path)


def test_an_archive_of_another_kind_is_no_state(tmp_path, network):
    write(tmp_path, network, 1)
    path = tmp_path / STATE
    rewrite(path, more=b"")
    with pytest.raises(ValueError, match=f"{path}: no state of a run"):
        find_state(tmp_path)
    for record in (b"[]", b"{", b'{"epoch": "x"}', b"[" * 100_000):
        write(tmp_path, network, 1)
        rewrite(path, **{RECORD: record})
        with pytest.raises(ValueError, match=f"{path}: no state of a run"):
            find_state(tmp_path)


def test_variables_of_another_model_are_refused(tmp_path, network):
    write(tmp_path, network, 1)
    other = models.backbone("tiny").retinanet(num_classes=1, feature_size=4)
    compile_model(other)
    with pytest.raises(ValueError, match=f"{STATE}: expected .* variables of the optimizer"):
        find_state(tmp_path).restore(other)
    rewrite(tmp_path / STATE, **{VARIABLES: b"1234"})
    with pytest.raises(ValueError, match=f"{STATE}: optimizer/.*: expected"):
        find_state(tmp_path).restore(network)


def test_what_cannot_be_written_leaves_the_old_ones(tmp_path, network, monkeypatch):
    write(tmp_path, network, 1, 2)

    def fail(path):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(state, "add_checksum", fail)
    with pytest.raises(OSError, match="No space left.*state.zip"):
        write(tmp_path, network, 3, continues=True)
    assert epochs_in(tmp_path) == (2, 1)
    assert len(list(tmp_path.iterdir())) == 2


def test_records_are_json(tmp_path, network):
    write(tmp_path, network, 1)
    with zipfile.ZipFile(tmp_path / STATE) as archive:
        record = json.loads(archive.read(RECORD))
    assert record["epoch"] == 1
    assert record["variables"][0] == ["optimizer/iteration", [], "int64"]


def named(names, folder="here", classes=("cat", "dog")):
    """Return what is said of a data set with images of some names."""
    images = [picture(32, 32, (2, 2, 20, 20))] * len(names)
    generator = MemoryGenerator(images, [truth((2, 2, 20, 20, 0))] * len(names), classes)
    generator.image_path = lambda index: f"{folder}/{names[index]}.png"
    return state.describe_data(generator)


def test_data_are_known_by_their_images_and_classes_wherever_they_lie():
    usual = named("abc")
    assert usual == named("abc", "there")
    assert (usual["images"], usual["classes"]) == (3, 2)
    for other in (named("abd"), named("ab"), named("acb"), named("abc", classes=("cat", "cow"))):
        assert other != usual
