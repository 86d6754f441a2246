import subprocess
import sys

import pytest

from keras_retinanet.backbone_table import BACKBONES
from keras_retinanet.bin import train


def test_every_backbone_has_a_line(capsys):
    with pytest.raises(SystemExit) as ended:
        train.main(["--list-backbones"])
    assert ended.value.code == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == ["backbone", *BACKBONES]
    (line,) = [line for line in lines if line.startswith("mobilenet_v2 ")]
    url = BACKBONES["mobilenet_v2"].url
    # 2,257,984 weights, as Keras prints for it without its classifier.
    assert line.split() == ["mobilenet_v2", "2.3", "M", "2-7", "tf_rgb", url]
    (line,) = [line for line in lines if line.startswith("resnext101_32x8d ")]
    assert "none published: --weights or --no-weights" in line


def test_the_list_does_not_wait_for_tensorflow():
    code = (
        "import sys; from keras_retinanet.bin.list_backbones import print_backbones; "
        "print_backbones(); assert not {'tensorflow', 'keras', 'numpy'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, stdout=subprocess.DEVNULL)
