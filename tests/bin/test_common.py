import os
import signal
import subprocess
import sys
import threading

import pytest

from keras_retinanet.bin import common


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (ValueError("a\n  b"), "a b"),
        (FileNotFoundError("a b"), "a b"),
        (FileNotFoundError(2, "b", "a"), "a: b"),
    ],
)
def test_bad_input_is_one_line_and_code_2(capsys, error, text):
    @common.report_errors
    def main(argv=None):
        raise error

    with pytest.raises(SystemExit) as stop:
        main()
    assert stop.value.code == 2
    assert capsys.readouterr().err == f"error: {text}\n"


def test_defects_keep_their_traceback():
    @common.report_errors
    def main(argv=None):
        raise TypeError("a defect")

    with pytest.raises(TypeError, match="a defect"):
        main()


@pytest.mark.parametrize("command", ["train", "evaluate", "convert_model", "detect", "debug"])
def test_help_needs_no_tensorflow(command):
    code = (
        "import sys\n"
        f"from keras_retinanet.bin import {command}\n"
        "try:\n"
        f"    {command}.main(['--help'])\n"
        "except SystemExit as stop:\n"
        "    assert stop.code == 0\n"
        "heavy = {'tensorflow', 'keras', 'cv2', 'matplotlib'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "usage: retinanet-" in done.stdout


def run_main(body, **options):
    """Start a process whose command runs some lines."""
    code = (
        "import os, signal, sys, time, warnings\n"
        "from keras_retinanet.bin import common\n"
        "@common.report_errors\n"
        "def main():\n" + "".join(f"    {line}\n" for line in body.split("\n")) + "main()\n"
    )
    return subprocess.Popen(
        [sys.executable, "-c", code],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **options,
    )


WAITING = """try:
    print("ready", flush=True)
    time.sleep(30)
finally:
    print("cleaned up")"""


@pytest.mark.parametrize(
    ("name", "code", "text"),
    [("SIGINT", 130, "interrupted"), ("SIGTERM", 143, "terminated"), ("SIGHUP", 129, "hung up")],
)
def test_signals_clean_up(name, code, text):
    process = run_main(WAITING)
    assert process.stdout.readline() == "ready\n"
    process.send_signal(getattr(signal, name))
    out, err = process.communicate(timeout=100)
    assert (process.returncode, out, err.strip()) == (code, "cleaned up\n", text)


@pytest.mark.parametrize(
    "error",
    ["RuntimeError('a library')", "ValueError('a library')", "OSError(4, 'Interrupted')", None],
)
def test_a_signal_counts_whatever_a_library_makes_of_it(error):
    process = run_main(
        f"""try:
    print("ready", flush=True)
    time.sleep(30)
except KeyboardInterrupt:
    {f"raise {error} from None" if error else "pass"}"""
    )
    process.stdout.readline()
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=100)
    assert (process.returncode, err.strip()) == (143, "terminated")


def test_a_second_signal_ends_the_clean_up():
    process = run_main(
        """try:
    print("ready", flush=True)
    time.sleep(30)
finally:
    print("cleaning up", flush=True)
    time.sleep(30)"""
    )
    assert process.stdout.readline() == "ready\n"
    process.send_signal(signal.SIGTERM)
    assert process.stdout.readline() == "cleaning up\n"
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=100)
    assert process.returncode == -signal.SIGINT


def test_a_signal_that_is_ignored_stays_so():
    process = run_main(
        'print("ready", flush=True)\ntime.sleep(0.5)\nprint("done")',
        preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN),
    )
    assert process.stdout.readline() == "ready\n"
    process.send_signal(signal.SIGHUP)
    assert process.communicate(timeout=100) == ("done\n", "")
    assert process.returncode == 0


def test_handlers_are_restored_and_those_of_the_program_stay():
    def own(number, frame):
        """Be the program's own."""

    before = signal.signal(signal.SIGTERM, own)
    try:
        seen = []
        main = common.report_errors(
            lambda: seen.extend(map(signal.getsignal, (signal.SIGTERM, signal.SIGHUP)))
        )
        hangup = signal.getsignal(signal.SIGHUP)
        main()
        assert seen[0] is own
        assert seen[1] is not hangup
        assert signal.getsignal(signal.SIGHUP) is hangup
        thread = threading.Thread(target=main)  # threads cannot set handlers
        thread.start()
        thread.join()
        assert seen[2:] == [own, hangup]
    finally:
        signal.signal(signal.SIGTERM, before)


# Body, shell's redirection, exit code, what stands on stderr.
LOST = [
    ("for i in range(100000): print(i)", "| head -1", 141, ""),
    ("print('a')", "| true", 141, ""),
    ("time.sleep(0.3); print('a')", "| true", 141, ""),
    ("print('a'); sys.exit(0)", "| true", 141, ""),
    ("print('a'); sys.exit(1)", "| true", 1, ""),
    ("print('a'); raise ValueError('b')", "| true", 2, "error: b"),
    ("time.sleep(0.3); warnings.warn('a'); print('a', file=sys.stderr)", "2>&1 | true", 0, ""),
    ("time.sleep(0.3); raise ValueError('a')", "2>&1 | true", 2, ""),
    ("print('a')", ">/dev/full", 2, "error: standard output: No space left on device"),
    ("print('a', flush=True)", ">/dev/full", 2, "error: standard output: No space left on device"),
    ("print('a'); sys.exit(0)", ">/dev/full", 2, "error: standard output: No space left on device"),
    ("print('a'); os.write(1, b'b')", ">&-", 0, ""),
    ("print('a'); raise ValueError('b')", ">&- 2>&-", 2, ""),
    ("print(open('/dev/null').fileno() > 2)", "<&- 2>&-", 0, ""),
    (
        "with common.outliving_its_readers():\n"
        "    time.sleep(0.3)\n"
        "    for i in range(3): print(i, flush=True)\n"
        "    os.write(1, b'from C')\n"
        "    print('on', file=sys.stderr)",
        "| true",
        0,
        "on",
    ),
]


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full")
@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize(("body", "redirection", "code", "text"), LOST)
def test_output_that_cannot_be_written(tmp_path, body, redirection, code, text, unbuffered):
    (tmp_path / "main.py").write_text(
        "import os, sys, time, warnings\n"
        "from keras_retinanet.bin import common\n"
        "@common.report_errors\n"
        "def main():\n" + "".join(f"    {line}\n" for line in body.split("\n")) + "main()\n"
    )
    command = f"'{sys.executable}' {tmp_path}/main.py {redirection}"
    command += "; exit ${PIPESTATUS[0]}" if "|" in redirection else ""
    environment = {**os.environ, "PYTHONUNBUFFERED": unbuffered}
    done = subprocess.run(
        ["bash", "-c", command], capture_output=True, text=True, timeout=60, env=environment
    )
    if unbuffered and "print('a'); " in body and redirection == "| true":
        code, text = 141, ""  # `print` fails already
    assert (done.returncode, done.stderr.strip()) == (code, text)


@pytest.mark.parametrize("option", ["--help", "--version-that-is-unknown"])
def test_a_parser_that_nobody_reads(option):
    command = (
        f"'{sys.executable}' -m keras_retinanet.bin.detect {option} 2>&1 | true; "
        "exit ${PIPESTATUS[0]}"
    )
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=60)
    assert done.returncode in (0, 2, 141)  # argparse ignores that nobody reads
    assert done.stderr == ""


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ("coco", None),
        ("net.keras", None),
        ("cocoo", "model not found: there is no file 'cocoo', and no published model of that name"),
        ("none.keras", "model not found: none.keras"),
        ("sub/coco", "model not found: sub/coco (there is no folder 'sub')"),
        ("photos", "model not found: photos (it is a folder)"),
        (
            "fizyr_resnet50",
            "model not found: fizyr_resnet50 (it is a folder, and hides the published model of "
            "this name)",
        ),
    ],
)
def test_a_model_is_a_file_or_a_name(tmp_path, monkeypatch, model, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "net.keras").touch()
    (tmp_path / "photos").mkdir()
    (tmp_path / "fizyr_resnet50").mkdir()
    if message is None:
        common.check_model(model)
        return
    with pytest.raises(ValueError) as caught:
        common.check_model(model)
    assert str(caught.value).partition(";")[0] == message


def test_a_data_set_named_coco_hides_the_model(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "coco").mkdir()
    with pytest.raises(ValueError, match=r"this name: write torchvision_resnet50_v2\)$"):
        common.check_model("coco")
