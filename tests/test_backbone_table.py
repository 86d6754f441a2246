import re
import subprocess
import sys
from importlib import import_module

import pytest

from keras_retinanet.backbone_table import BACKBONES
from keras_retinanet.images import NORMALISATIONS

# All of keras-retinanet 1.0.0.
OLD = [
    *(f"resnet{depth}" for depth in (50, 101, 152)),
    *(
        f"mobilenet{size}_{width}"
        for size in (128, 160, 192, 224)
        for width in ("0.25", "0.5", "0.75", "1.0")
    ),
    *("vgg16", "vgg19", "densenet121", "densenet169", "densenet201"),
    *(f"EfficientNetB{number}" for number in range(8)),
    *("seresnet18", "seresnet34", "seresnet50", "seresnet101", "seresnet152"),
    *("seresnext50", "seresnext101", "senet154"),
]


def test_all_old_backbones_are_there():
    assert set(OLD) <= set(BACKBONES)
    assert len(BACKBONES) == 62


@pytest.mark.parametrize("name", BACKBONES)
def test_an_entry_is_complete(name):
    entry = BACKBONES[name]
    assert callable(import_module(entry.module).features)
    assert entry.normalisation in NORMALISATIONS
    assert entry.parameters > 1e5
    if entry.url is None:
        assert entry.file_hash is None
    else:
        assert re.fullmatch(r"https://\S+\.h5", entry.url)
    if entry.file_hash is not None:
        assert re.fullmatch(r"[0-9a-f]{32}|[0-9a-f]{64}", entry.file_hash)  # MD5 or SHA-256


def test_the_table_needs_no_tensorflow():
    code = (
        "import sys, keras_retinanet.backbone_table\n"
        "heavy = {'tensorflow', 'keras', 'cv2', 'numpy'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
