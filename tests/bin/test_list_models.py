import subprocess
import sys

import pytest

from keras_retinanet.bin import detect
from keras_retinanet.zoo.table import ENTRIES, NAMES


@pytest.fixture
def lines(capsys, monkeypatch, tmp_path):
    """What `retinanet-detect --list-models` prints."""
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    with pytest.raises(SystemExit) as ended:
        detect.main(["--list-models"])
    assert ended.value.code == 0
    return capsys.readouterr().out.splitlines()


def test_every_name_has_a_line(lines, tmp_path):
    end = lines.index("")
    assert [line.split()[0] for line in lines[:end]] == ["model", *NAMES]
    (line,) = [line for line in lines[:end] if line.startswith("mmdet_resnet101 ")]
    assert line.split() == (
        ["mmdet_resnet101", "MMDetection", "ResNet-101-FPN", "COCO,", "80", "41.0", "57.0", "M"]
        + ["Apache-2.0"]
    )
    (line,) = [line for line in lines[:end] if line.startswith("fizyr_resnet101_oid ")]
    assert line.split()[3:7] == ["Open", "Images,", "500", "-"]
    expected = f"coco is torchvision_resnet50_v2. The files are kept in {tmp_path / 'models'}:"
    assert lines[end + 1] == expected


def test_every_file_has_a_line(lines):
    files = lines[-len(ENTRIES) - 1 :]
    assert [line.split()[0] for line in files] == ["model", *ENTRIES]
    assert [line.split()[-1] for line in files[1:]] == [entry.url for entry in ENTRIES.values()]
    (line,) = [line for line in files if line.startswith("torchvision_resnet50 ")]
    assert line.split()[1:3] == ["136595076", "eeacb38b..."]
    (line,) = [line for line in files if line.startswith("detectron2_resnet50 ")]
    assert line.split()[1:3] == ["-", "-"]


def test_the_list_does_not_wait_for_tensorflow():
    code = (
        "import sys; from keras_retinanet.bin import detect\n"
        "try: detect.main(['--list-models'])\n"
        "except SystemExit: sys.exit('tensorflow' in sys.modules or 'keras' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, stdout=subprocess.DEVNULL)
