import numpy as np
import pytest

from keras_retinanet.zoo.layouts import translate
from tests import published_goldens as goldens


def shapes_of(case):
    """Tensors of a case with the right shapes, which take no memory."""
    return {
        name: np.broadcast_to(np.float32(0), shape)
        for name, shape, _ in goldens.read_layout(case)["tensors"]
    }


@pytest.mark.parametrize("case", goldens.RESNET50)
def test_every_tensor_has_a_place_or_a_reason(case):
    tensors = shapes_of(case)
    found = translate(tensors)
    assert len(found.weights) + len(found.ignored) == len(tensors)
    counted = [name for name in tensors if name.endswith("num_batches_tracked")]
    assert list(found.ignored) == counted
    # ResNet-50 has 53 convolutions, each with a normalisation of four tensors; the pyramid has 8
    # with a bias; so have the heads, or four of them have a normalisation of two tensors instead.
    heads = 10 * 2 + (8 if case == "torchvision_r50_fpn_v2" else 0)
    assert len(found.weights) == 53 * 5 + 8 * 2 + heads
    assert found.weights["stem_conv", "kernel"].shape == (7, 7, 3, 64)
    assert found.weights["stage4_0_shortcut_conv", "kernel"].shape == (1, 1, 1024, 2048)
    assert found.weights["stage3_5_2_norm", "moving_variance"].shape == (256,)
    for name in ("C3_reduced", "P3", "P6", "P7", "pyramid_regression_3", "pyramid_classification"):
        assert (name, "kernel") in found.weights


def test_libraries_are_told_apart_by_names():
    libraries = [translate(shapes_of(case)).library for case in goldens.RESNET50]
    assert libraries == ["torchvision", "torchvision", "detectron2", "MMDetection"]


def test_kernels_are_turned_to_the_order_of_keras():
    tensors = shapes_of("mmdet_r50_fpn")
    kernel = np.random.default_rng(0).normal(size=(64, 3, 7, 7)).astype("float32")
    tensors["backbone.conv1.weight"] = kernel
    found = translate(tensors).weights["stem_conv", "kernel"]
    assert found[4, 5, 2, 60] == kernel[60, 2, 4, 5]


def test_torchvisions_names_since_0_13_are_the_same_places():
    tensors = shapes_of("torchvision_r50_fpn")
    renamed = {}
    for name, values in tensors.items():
        head, _, rest = name.partition("_head.conv.")
        if rest:  # conv.2.weight becomes conv.1.0.weight
            number, kind = rest.split(".")
            name = f"{head}_head.conv.{int(number) // 2}.0.{kind}"
        name = name.replace("_blocks.0.", "_blocks.0.0.").replace("_blocks.1.", "_blocks.1.0.")
        renamed[name] = values
    assert len(renamed.keys() - tensors.keys()) > 10
    assert translate(renamed).weights.keys() == translate(tensors).weights.keys()


def test_older_files_of_detectron2_hold_what_no_network_needs():
    tensors = shapes_of("detectron2_r50_fpn")
    tensors |= {"pixel_mean": np.zeros(3), "anchor_generator.cell_anchors.0": np.zeros((9, 4))}
    ignored = translate(tensors).ignored
    assert list(ignored) == ["pixel_mean", "anchor_generator.cell_anchors.0"]
    assert "normalisation" in ignored["pixel_mean"]


@pytest.mark.parametrize(
    ("names", "text"),
    [
        (["roi_heads.box_head.fc6.weight", "rpn.head.conv.weight"], "Faster R-CNN"),
        (["backbone.conv1.weight", "bbox_head.atss_cls.weight"], "another detector of MMDetection"),
        (["conv1.weight", "fc.weight", "fc.bias"], "a classifier .*fc.weight"),
        (["model.0.conv.weight"], "YOLO"),
        (["a", "b"], "one of 2 tensors: a, b"),
        ([], "one of 0 tensors"),
    ],
)
def test_other_networks_are_named(names, text):
    with pytest.raises(ValueError, match=f"expected a RetinaNet of torchvision.*{text}"):
        translate({name: np.zeros(1) for name in names})


@pytest.mark.parametrize(
    "name",
    [
        "backbone.layer1.0.conv1.bogus",
        "bbox_head.cls_convs.4.conv.weight",
        "bbox_head.retina_cls.running_mean",
        "neck.fpn_convs.5.conv.weight",
        "x" * 10_000,
    ],
)
def test_a_tensor_without_a_place_is_refused(name):
    tensors = {**shapes_of("mmdet_r50_fpn"), name: np.zeros(3)}
    with pytest.raises(
        ValueError, match="MMDetection publishes it, got one with 1 other"
    ) as caught:
        translate(tensors)
    assert len(str(caught.value)) < 300


def test_two_tensors_for_one_place_are_refused():
    """Both spellings of torchvision at once."""
    tensors = shapes_of("torchvision_r50_fpn")
    tensors["backbone.fpn.inner_blocks.0.0.weight"] = np.zeros((256, 512, 1, 1))
    with pytest.raises(ValueError, match="inner_blocks.0.0.weight"):
        translate(tensors)
