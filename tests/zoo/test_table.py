import subprocess
import sys
from urllib.parse import urlsplit

import pytest

from keras_retinanet.zoo.table import ALIASES, ENTRIES, NAMES, find, is_name

# The names that are promised, and the AP on COCO that the libraries publish.
PUBLISHED = {
    "torchvision_resnet50_v2": 41.5,
    "torchvision_resnet50": 36.4,
    "detectron2_resnet50": 38.7,
    "detectron2_resnet101": 40.4,
    "mmdet_resnet18": 31.7,
    "mmdet_resnet50": 39.5,
    "mmdet_resnet101": 41.0,
    "mmdet_resnext101_64x4d": 41.6,
    "fizyr_resnet50": 35.0,
    "fizyr_resnet101_oid": None,
    "fizyr_resnet152_oid": None,
}
HOSTS = {
    "torchvision": "download.pytorch.org",
    "detectron2": "dl.fbaipublicfiles.com",
    "MMDetection": "download.openmmlab.com",
    "keras-retinanet": "github.com",
}
# Weights of a RetinaNet above its backbone, for 80 classes: 1x1 convolutions of 512, 1024 and 2048
# channels (a quarter of these for ResNet-18); 3x3 ones of 256 for P3 to P5, P7 and the towers; P6;
# the two last layers of the heads.
HEADS_80 = 9 * 80 * (9 * 256 + 1) + 9 * 4 * (9 * 256 + 1)


def above(widest, classifier=HEADS_80):
    laterals = (widest + widest // 2 + widest // 4) * 256 + 3 * 256
    return laterals + (3 + 1 + 8) * (9 * 256 * 256 + 256) + 9 * widest * 256 + 256 + classifier


# Convolutions and normalisation below the classifier, as torchvision's documentation counts them.
BACKBONES = {
    "ResNet-18-FPN": (11_176_512, 512),
    "ResNet-50-FPN": (23_508_032, 2048),
    "ResNet-101-FPN": (42_500_160, 2048),
    "ResNet-152-FPN": (58_143_808, 2048),
    "ResNeXt-101-64x4d-FPN": (81_406_272, 2048),
}


def test_the_promised_names_are_there():
    assert {name: entry.average_precision for name, entry in ENTRIES.items()} == PUBLISHED
    assert ALIASES == {"coco": "torchvision_resnet50_v2"}
    assert {*NAMES} == {"coco", *PUBLISHED}
    assert find("coco") is find("torchvision_resnet50_v2")
    assert all(find(name).name == name for name in PUBLISHED)
    assert is_name("coco")
    assert not is_name("COCO")
    with pytest.raises(KeyError):
        find("cocoa")


def test_addresses_belong_to_their_source_and_differ():
    for entry in ENTRIES.values():
        parts = urlsplit(entry.url)
        assert (parts.scheme, parts.hostname) == ("https", HOSTS[entry.source])
        assert entry.file_name == parts.path.split("/")[-1]
    assert len({entry.file_name for entry in ENTRIES.values()}) == len(ENTRIES)


def test_a_checksum_in_the_name_of_a_file_is_the_one_to_check():
    for entry in ENTRIES.values():
        stem = entry.file_name.partition(".")[0]
        if entry.source in ("torchvision", "MMDetection"):
            assert entry.sha256.startswith(stem.rpartition("-")[2])
            assert len(entry.sha256) == (64 if entry.source == "torchvision" else 8)
        else:  # detectron2's digits are of unknown meaning
            assert entry.sha256 is None


def test_parameters_are_those_of_the_networks():
    for entry in ENTRIES.values():
        if entry.source == "torchvision":  # with 91 classes and other pyramids and heads
            overhead = entry.size - 4 * entry.parameters
            assert 0 < overhead < 600_000  # frozen normalisation, names
            continue
        body, widest = BACKBONES[entry.backbone]
        outputs = int(entry.classes.rpartition(" ")[2])
        more = 9 * (outputs - 80) * (9 * 256 + 1)
        assert entry.parameters == body + above(widest) + more, entry.name


def test_the_table_imports_nothing_heavy():
    code = (
        "import sys, keras_retinanet.zoo.table, keras_retinanet.zoo.fetching, "
        "keras_retinanet.zoo.class_names; "
        "assert not {'tensorflow', 'keras', 'rich'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
