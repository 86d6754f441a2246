import contextlib
import os
import resource
import shutil
import signal
import socket
import subprocess
import sys
from collections import namedtuple

import keras
import pytest

from keras_retinanet.system.files import replacing
from keras_retinanet.training import output_folder
from keras_retinanet.training.output_folder import LOCK, check_room, check_writable, claimed

USAGE = namedtuple("usage", "total used free")
HOLDING = """import sys, time
from keras_retinanet.system.files import replacing
from keras_retinanet.training.output_folder import claimed
with claimed(sys.argv[1]), replacing(sys.argv[1] + "/net_01.keras") as temporary:
    temporary.write_text("half")
    print("ready", flush=True)
    time.sleep(60)
"""

# Runs retinanet-train with the tiny backbone.
TRAINING = """import sys
from keras_retinanet import backbone_table
from tests import tiny
backbone_table.BACKBONES[tiny.NAME] = tiny.ENTRY
from keras_retinanet.bin import train
train.main(sys.argv[1:])
"""


@contextlib.contextmanager
def another_run(folder):
    """Start a process that keeps the folder and is writing a snapshot."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDING, str(folder)], stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout.readline() == "ready\n"
        yield process
    finally:
        process.kill()
        process.communicate()


def test_a_folder_is_made_and_locked_and_nothing_stays(tmp_path):
    folder = tmp_path / "a" / "b"
    with claimed(folder):
        assert (folder / LOCK).read_text() == f"{os.getpid()} {socket.gethostname()}\n"
        message = f"{folder}: another run writes here .process {os.getpid()} on "
        with pytest.raises(ValueError, match=message), claimed(folder):
            pass
    assert list(folder.parent.iterdir()) == []
    with pytest.raises(TypeError), claimed(folder):
        raise TypeError
    assert list(folder.parent.iterdir()) == []


def test_two_runs_are_noticed_and_a_killed_one_is_taken_over(tmp_path):
    with another_run(tmp_path) as process:
        with pytest.raises(ValueError, match=f"process {process.pid} on {socket.gethostname()}"):
            claimed(tmp_path).__enter__()
        process.send_signal(signal.SIGKILL)
        process.wait()
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names[0].startswith(f".net_01-{process.pid}-")
    assert names[1] == LOCK
    with claimed(tmp_path):
        assert [path.name for path in tmp_path.iterdir()] == [LOCK]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("content", ["", "hello", "1 2 3", "1 elsewhere\n", "-1 a"])
def test_what_a_lock_file_holds_does_not_matter(tmp_path, content):
    (tmp_path / LOCK).write_text(content)
    with claimed(tmp_path):
        assert (tmp_path / LOCK).read_text().split()[0] == str(os.getpid())


@pytest.mark.parametrize(
    ("owner", "outcome"),
    [
        (f"{os.getppid()} {socket.gethostname()}", ValueError),
        (f"999999999 {socket.gethostname()}", None),
        (f"{os.getpid()} {socket.gethostname()}", None),
        (f"{os.getppid()} elsewhere", UserWarning),
        ("damaged", None),
    ],
    # Test names with process ids would differ from run to run.
    ids=["alive", "gone", "this one", "elsewhere", "damaged"],
)
@pytest.mark.parametrize("locks", ["absent", "refused"])
def test_without_locks_the_process_id_counts(tmp_path, monkeypatch, owner, outcome, locks):
    (tmp_path / LOCK).write_text(owner)
    if locks == "absent":
        monkeypatch.setattr(output_folder, "fcntl", None)
    else:

        def refuse(*args):
            raise OSError(38, "Function not implemented")

        monkeypatch.setattr(output_folder.fcntl, "flock", refuse)
    expected = contextlib.nullcontext()
    if outcome is ValueError:
        expected = pytest.raises(ValueError, match=f"process {os.getppid()} on")
    elif outcome is UserWarning:
        expected = pytest.warns(UserWarning, match=f"process {os.getppid()} on elsewhere may be")
    with expected, claimed(tmp_path):
        assert (tmp_path / LOCK).read_text().startswith(f"{os.getpid()} ")


def test_a_link_or_fifo_instead_of_the_lock_is_left_alone(tmp_path):
    (tmp_path / "precious").write_text("text")
    (tmp_path / LOCK).symlink_to(tmp_path / "precious")
    with pytest.raises(OSError, match="cannot be written here"), claimed(tmp_path):
        pass
    assert (tmp_path / "precious").read_text() == "text"
    (tmp_path / LOCK).unlink()
    os.mkfifo(tmp_path / LOCK)
    with pytest.raises(ValueError, match="expected a regular file"), claimed(tmp_path):
        pass


@pytest.mark.parametrize("check", [check_writable, lambda folder: claimed(folder).__enter__()])
def test_a_folder_that_cannot_be_written_is_named(tmp_path, check):
    (tmp_path / "file").write_text("")
    # /proc takes no files, even of root.
    for folder in (tmp_path / "file", tmp_path / "file" / "below", "/proc", "/proc/below"):
        with pytest.raises(OSError, match="cannot be written here") as error:
            check(folder)
        assert str(folder) == error.value.filename


MB = 1_000_000


def test_what_a_run_takes_is_said_and_a_disk_without_room_named(tmp_path, monkeypatch):
    # 4 snapshots, 3 states, and 10 MB for all else: 400 + 900 + 10.
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: USAGE(0, 0, 1310 * MB))
    assert check_room(tmp_path, 4, 100 * MB, 300 * MB) == (
        f"{tmp_path} will take up to 1,310 MB: 4 snapshots of 100 MB, two states of 300 MB and one "
        "more while it is written; free are 1,310 MB"
    )
    message = r"the run takes up to 1,410 MB \(5 snapshots .*\), free are 1,310 MB: --keep says how"
    with pytest.raises(OSError, match=message) as error:
        check_room(tmp_path, 5, 100 * MB, 300 * MB)
    assert error.value.filename == str(tmp_path)


def test_files_that_the_run_replaces_leave_their_room(tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: USAGE(0, 0, 10 * MB))
    (tmp_path / "net_01.keras").write_bytes(bytes(2 * MB))
    os.link(tmp_path / "net_01.keras", tmp_path / "best.keras")  # takes no room
    check_room(tmp_path, 2, MB, 0, ["net_01.keras", "best.keras", "net_02.keras"])
    with pytest.raises(OSError, match="takes up to 13 MB .* free are 12 MB"):
        check_room(tmp_path, 3, MB, 0, ["net_01.keras", "best.keras", "net_02.keras"])


def test_a_limit_of_the_process_is_named(tmp_path):
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, before[1]))
    try:
        check_room(tmp_path, 1, 9_000, 10_000)
        with pytest.raises(OSError, match="20,000 bytes, .* at most 10,000 bytes .ulimit -f"):
            check_room(tmp_path, 1, 9_000, 20_000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
def test_the_size_of_a_snapshot_is_known_before(tmp_path, suffix):
    model = keras.Sequential([keras.Input((300,)), keras.layers.Dense(500)])
    expected = output_folder.snapshot_size(model)
    with replacing(tmp_path / f"net{suffix}") as path:
        model.save(path)
    assert expected < (tmp_path / f"net{suffix}").stat().st_size < expected + 100_000
    model.compile("adam", "mse")
    model.optimizer.build(model.trainable_variables)
    assert output_folder.state_size(model) == pytest.approx(3 * expected, rel=1e-3)


@pytest.mark.slow
def test_a_training_run_keeps_its_folder_and_ends_cleanly(tmp_path):
    folder = tmp_path / "out"
    command = [sys.executable, "-c", TRAINING, "--snapshot-path", str(folder), "--backbone", "tiny"]
    command += ["--no-weights", "--image-min-side", "64", "--image-max-side", "96"]
    command += ["--steps", "2", "--epochs", "1000", "--no-evaluation", "shapes"]
    run = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        for line in run.stdout:
            if line.startswith("Epoch 1/"):
                break
        second = subprocess.run(command, capture_output=True, text=True, timeout=300)
        assert second.returncode == 2
        assert f"another run writes here (process {run.pid} on" in second.stderr
        run.send_signal(signal.SIGTERM)
        _, errors = run.communicate(timeout=300)
    finally:
        run.kill()
    assert run.returncode == 143
    assert errors.strip().endswith("terminated")
    names = {path.name for path in folder.iterdir()}
    others = {name for name in names if not name.startswith("tiny_shapes_")}
    assert others - {"state-previous.zip"} == {"history.csv", "state.zip"}


def test_a_new_folder_without_files_is_removed_again(tmp_path):
    for name, keeps in (("new", False), ("old", True), ("used", True)):
        folder = tmp_path / name
        if name == "old":
            folder.mkdir()
        with contextlib.suppress(ValueError), claimed(folder):
            if name == "used":
                (folder / "history.csv").write_text("")
            raise ValueError
        assert folder.exists() is keeps
