"""Model files that are damaged or hostile: only ValueError and OSError, quickly."""

import io
import json
import os
import random
import subprocess
import sys
import warnings
import zipfile
import zlib
from pathlib import Path

import h5py
import keras
import numpy as np
import pytest

from keras_retinanet import losses, models
from keras_retinanet.models.conversion import convert_file
from keras_retinanet.models.snapshots import is_keras2_file
from keras_retinanet.optimizers import Adam
from tests.data import old_snapshots
from tests.models.conftest import TINY_INFO, build_tiny

ROOT = Path(__file__).parent.parent.parent
MAX_SECONDS, MAX_GROWTH = 20, 300  # of memory in MB; a bomb asks for gigabytes
pytestmark = pytest.mark.filterwarnings("ignore:You are saving your model as an HDF5")


@pytest.fixture(scope="module")
def contents(tmp_path_factory):
    """Suffix -> bytes of a small snapshot, without a checksum."""
    model = build_tiny()
    models.set_info(model, TINY_INFO)
    folder, found = tmp_path_factory.mktemp("models"), {}
    for suffix in (".keras", ".h5"):
        model.save(folder / f"m{suffix}")
        found[suffix] = (folder / f"m{suffix}").read_bytes()
    return found


def write_archive(path, contents, **members):
    """Write the small snapshot with other members; "config" and "weights" name the usual ones."""
    with zipfile.ZipFile(io.BytesIO(contents[".keras"])) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    usual = {"config": "config.json", "weights": "model.weights.h5"}
    parts.update({usual.get(name, name): content for name, content in members.items()})
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for name, content in parts.items():
            with archive.open(name, "w", force_zip64=True) as member:
                for block in [content] if isinstance(content, bytes) else content:
                    member.write(block)


def zeros(gigabytes):
    """Yield zeros in blocks."""
    return (bytes(2**24) for _ in range(64 * gigabytes))


def archive_config(contents):
    with zipfile.ZipFile(io.BytesIO(contents[".keras"])) as archive:
        return json.loads(archive.read("config.json"))


def write_with(path, contents, change):
    """Write the small snapshot with a changed configuration; both formats."""
    if path.suffix == ".keras":
        config = archive_config(contents)
        changed = change(config)
        text = json.dumps(config if changed is None else changed).encode()
        write_archive(path, contents, config=text)
        return
    path.write_bytes(contents[".h5"])
    with h5py.File(path, "r+") as file:
        config = json.loads(file.attrs["model_config"])
        changed = change(config)
        file.attrs["model_config"] = json.dumps(config if changed is None else changed)


def layer(config, name):
    return next(x["config"] for x in config["config"]["layers"] if x["config"]["name"] == name)


def _set(name, **values):
    return lambda config: layer(config, name).update(values)


def _details(**values):
    return lambda config: config["config"]["details"].update(values)


def _nested(levels, change):
    def nest(config):
        value = 1
        for _ in range(levels):
            value = {"class_name": "Zeros", "config": {"a": value}}
        change(config, value)

    return nest


def _two_wide_layers(config):
    layer(config, "stage3")["filters"] = layer(config, "stage4")["filters"] = 10**6


def _circle(config):
    """Let the first layer follow the last."""
    layers = config["config"]["layers"]
    by_name = {x["config"]["name"]: x for x in layers}
    by_name["stage1"]["inbound_nodes"] = by_name["P5"]["inbound_nodes"]


def _lambda(config):
    config["config"]["layers"][2]["class_name"] = "Lambda"


def _file_layer(class_name, **values):
    def change(config):
        entry = config["config"]["layers"][2]
        entry.update(class_name=class_name, module="keras.layers", registered_name=None)
        entry["config"] = {"name": entry["config"]["name"], **values}

    return change


# Each with both formats: a change of the configuration, and what the error says.
CONFIGS = {
    "a list": (lambda config: [], "cannot load|functional model"),
    "a number": (lambda config: 5, "cannot load|functional model"),
    "no layers": (lambda config: config["config"].pop("layers"), "layers"),
    "layers a dictionary": (lambda config: config["config"].update(layers={"a": 1}), "cannot load"),
    "layers numbers": (lambda config: config["config"].update(layers=[1, 2]), "cannot load"),
    "another layer": (
        lambda config: config["config"]["layers"][2].update(class_name="X"),
        "cannot load",
    ),
    "code": (_lambda, "cannot load"),
    "a SavedModel": (_file_layer("TFSMLayer", filepath="/etc"), "cannot load"),
    "a vocabulary": (_file_layer("StringLookup", vocabulary="/etc/passwd"), "cannot load"),
    "a circle": (_circle, "cannot load"),
    "nesting": (
        _nested(450, lambda c, value: _set("P3", kernel_initializer=value)(c)),
        "cannot load",
    ),
    "10**9 filters": (_set("stage3", filters=10**9), "describes a model of more than"),
    "10**12 filters": (_set("stage5", filters=10**12), "describes a model of more than"),
    "10**30 filters": (_set("stage5", filters=10**30), "cannot load"),
    "two wide layers": (_two_wide_layers, "describes a model of more than"),
    "a wide kernel": (_set("stage2", kernel_size=[10**4, 10**4]), "a model of more than"),
    "info a list": (lambda config: config["config"].update(details=[1]), "info of a model"),
    "info a number": (lambda config: config["config"].update(details=5), "info of a model"),
    "levels a number": (_details(pyramid_levels=5), "pyramid_levels: expected a list"),
    "names a number": (_details(class_names=7), "class_names: expected a list"),
    "classes a text": (_details(num_classes="x"), "num_classes: expected an integer"),
    "10**12 classes": (_details(num_classes=10**12), "num_classes: expected an integer"),
    "anchors a list": (_details(anchors=[]), "anchors: expected lists"),
    "no coder": (_details(coder=None), "coder: expected a box coder"),
    "unknown info": (_details(colour=1), "expected the info of a model"),
}


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
@pytest.mark.parametrize("name", CONFIGS)
def test_configurations(name, suffix, contents, tmp_path):
    path = tmp_path / f"m{suffix}"
    change, text = CONFIGS[name]
    write_with(path, contents, change)
    refuses(models.load_model, path, text)


def refuses(read, path, text):
    """Check that a function refuses a file in the way a user should see."""
    with warnings.catch_warnings(), pytest.raises(ValueError, match=text) as caught:
        warnings.simplefilter("ignore")
        read(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert len(message.removeprefix(str(path))) < 300
    assert "BytesIO" not in message and "\n" not in message


def _old_circle(path):
    layout = old_snapshots.read_layout("old_training")
    config = json.loads(layout["attrs"]["model_config"])
    first = next(x for x in config["config"]["layers"] if x["class_name"] == "Activation")
    first["inbound_nodes"] = [[["C5_reduced", 0, 0, {}]]]
    layout["attrs"]["model_config"] = json.dumps(config)
    old_snapshots.write_snapshot(layout, path)


def test_circles_of_layers_in_old_snapshots_end(tmp_path):
    _old_circle(tmp_path / "old.h5")
    refuses(models.load_model, tmp_path / "old.h5", "expected no circle of layers")


def _dataset(write):
    """Return a function that replaces the kernel of a layer in the `.h5` snapshot."""

    def make(path, contents):
        path.write_bytes(contents[".h5"])
        with h5py.File(path, "r+") as file:
            group = file["model_weights/stage3/stage3"]
            del group["kernel"]
            write(group)

    return make


def _gzip_of_zeros(group):
    data = group.create_dataset("kernel", (10**9,), "f4", chunks=(10**7,), compression="gzip")
    chunk = zlib.compress(bytes(4 * 10**7), 1)
    for start in range(0, 10**9, 10**7):
        data.id.write_direct_chunk((start,), chunk)


def _long_chunk(group):
    compressor = zlib.compressobj(1)
    chunk = b"".join(compressor.compress(block) for block in zeros(1)) + compressor.flush()
    data = group.create_dataset("kernel", (10**4,), "f4", chunks=(10**4,), compression="gzip")
    data.id.write_direct_chunk((0,), chunk)


def _unwritten(shape):
    return _dataset(lambda group: group.create_dataset("kernel", shape, "f4"))


def _changed(change):
    return lambda path, contents: write_with(path, contents, change)


# Files that ask for gigabytes, and how each is made.
BOMBS = {
    "weights.keras": lambda path, contents: write_archive(path, contents, weights=zeros(1)),
    "config.keras": lambda path, contents: write_archive(path, contents, config=zeros(1)),
    "assets.keras": lambda path, contents: write_archive(path, contents, **{"assets/a": zeros(1)}),
    "unwritten.h5": _unwritten((10**9,)),
    "unwritten_more.h5": _unwritten((10**12,)),
    "gzip_of_zeros.h5": _dataset(_gzip_of_zeros),
    "long_chunk.h5": _dataset(_long_chunk),
    "filters.keras": _changed(_set("stage3", filters=10**8)),
    "filters.h5": _changed(_set("stage3", filters=10**8)),
}


@pytest.fixture(scope="module")
def bombs(contents, tmp_path_factory):
    """Read each bomb in a process of its own; return what came of each file."""
    folder = tmp_path_factory.mktemp("bombs")
    for name, make in BOMBS.items():
        make(folder / name, contents)
    result = subprocess.run(
        [sys.executable, "-m", "tests.models.test_bad_models", *sorted(map(str, folder.iterdir()))],
        capture_output=True,
        text=True,
        timeout=300,
        cwd=ROOT,
    )
    assert result.returncode == 0, result.stderr[-2000:]
    lines = [line for line in result.stdout.splitlines() if line.startswith("{")]
    return {Path(entry["path"]).name: entry for entry in map(json.loads, lines)}


@pytest.mark.skipif(sys.platform != "linux", reason="measures memory as Linux does")
@pytest.mark.parametrize("name", BOMBS)
def test_bombs_take_no_memory(name, bombs):
    found = bombs[name]
    assert found["growth"] < MAX_GROWTH and found["seconds"] < MAX_SECONDS, found
    assert found["load_model"].startswith("ValueError"), found
    assert name not in ("filters.keras", "filters.h5") or "describes" in found["load_model"]


def _read_bombs(paths):
    """Print what came of reading each file: error, seconds, growth of memory in MB."""
    import resource
    import time

    tiny = build_tiny()

    def peak():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024

    for path in paths:
        before, start = peak(), time.perf_counter()
        found = {"path": path}
        for read in (models.load_model, is_keras2_file, lambda p: models.load_weights(tiny, p)):
            try:
                read(path)
                found[read.__name__] = "fine"
            except Exception as error:
                found[read.__name__] = f"{type(error).__name__}: {error}"
        found.update(growth=peak() - before, seconds=round(time.perf_counter() - start, 2))
        print(json.dumps(found), flush=True)


READERS = {
    "load_model": models.load_model,
    "is_keras2_file": is_keras2_file,
    "load_weights": lambda path: models.load_weights(build_tiny(), path),
    "load_weights of the model": lambda path: build_tiny().load_weights(path),
    "convert_file": lambda path: convert_file(path, path.with_name("out.keras")),
}


def _fifo(path, contents):
    os.mkfifo(path)


def _device(path, contents):
    path.symlink_to("/dev/zero")


def _weights(content):
    return lambda path, contents: write_archive(path, contents, weights=content)


def _missing_member(path, contents):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("config.json", "{}")


def _cut(path, contents):
    path.write_bytes(contents[path.suffix][:-10_000])


# Files that no reader takes, each under the name of its format.
REFUSED = {
    "fifo.h5": (_fifo, "expected a regular file"),
    "fifo.keras": (_fifo, "expected a regular file"),
    "device.h5": (_device, "expected a regular file"),
    "empty.h5": (lambda path, contents: path.touch(), "expected an HDF5 file"),
    "empty.keras": (lambda path, contents: path.touch(), "expected an HDF5 file"),
    "cut.h5": (_cut, "damaged or truncated"),
    "cut.keras": (_cut, "damaged or truncated"),
    "no_hdf5.keras": (_weights(b"no HDF5 file"), "damaged or truncated"),
    "no_weights.keras": (_missing_member, "damaged or truncated"),
    "outside.keras": (
        lambda path, contents: write_archive(path, contents, **{"../x": b"1"}),
        "leads outside it",
    ),
    "asset.keras": (
        lambda path, contents: write_archive(path, contents, **{"assets/x": b"1"}),
        "holds 'assets/x' too",
    ),
}


@pytest.mark.skipif(sys.platform == "win32", reason="no FIFOs")
@pytest.mark.parametrize("name", REFUSED)
def test_no_reader_takes(name, contents, tmp_path):
    make, text = REFUSED[name]
    make(tmp_path / name, contents)
    for read in READERS.values():
        refuses(read, tmp_path / name, text)
    assert not (tmp_path / "out.keras").exists()


def test_a_name_that_does_not_fit_the_format_is_named(contents, tmp_path):
    for content, name, suffix in [(".keras", "m.h5", ".keras"), (".h5", "m.keras", ".h5")]:
        (tmp_path / name).write_bytes(contents[content])
        refuses(models.load_model, tmp_path / name, f"to end in {suffix}.*: rename it")


def state_of(model):
    """All that a file may change: weights, optimizer state, info, layers."""
    arrays = [*model.get_weights(), *(np.asarray(v) for v in model.optimizer.variables)]
    config = json.dumps([model.get_config(), model.optimizer.get_config()], default=str)
    return [array.tobytes() for array in arrays], model.info, config


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
def test_no_flipped_bit_changes_a_model_silently(suffix, tmp_path):
    model = build_tiny()
    models.set_info(model, TINY_INFO)
    loss = {"regression": losses.smooth_l1(), "classification": losses.focal()}
    model.compile(Adam(1e-3), loss)
    model.optimizer.build(model.trainable_variables)
    path = tmp_path / f"m{suffix}"
    models.save_model(model, path)
    content, expected = path.read_bytes(), state_of(models.load_model(path, compile=True))
    places = random.Random(0)
    # The end of either format describes the rest: directory or checksum.
    ends = [len(content) * 8 - 1 - i for i in range(0, 30 * 8, 37)]
    for place in [*(places.randrange(len(content) * 8) for _ in range(60)), *ends]:
        changed = bytearray(content)
        changed[place // 8] ^= 1 << place % 8
        path.write_bytes(changed)
        try:
            found = models.load_model(path, compile=True)
        except (ValueError, OSError) as error:
            assert str(error).startswith(f"{path}: ")
        else:
            assert state_of(found) == expected, place
            keras.backend.clear_session()


def test_readers_that_name_the_damage(tmp_path):
    model = build_tiny()
    models.set_info(model, TINY_INFO)
    path = tmp_path / "m.h5"
    models.save_model(model, path)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    for read in READERS.values():
        refuses(read, path, "the file is damaged: its checksum is not that of its contents")
    with h5py.File(path, "r") as file, pytest.raises(ValueError, match="the file is damaged"):
        models.load_model(file)


if __name__ == "__main__":
    _read_bombs(sys.argv[1:])
