import subprocess
import sys

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
