"""Published RetinaNets compute what the libraries that trained them compute."""

import re
import zlib
from dataclasses import replace

import numpy as np
import pytest

from keras_retinanet import models
from keras_retinanet.detection.detector import Detector
from keras_retinanet.geometry.anchors import anchors_for_shape
from keras_retinanet.models import published
from keras_retinanet.zoo.checkpoints import Checkpoint
from keras_retinanet.zoo.class_names import COCO
from keras_retinanet.zoo.layouts import translate
from tests import published_goldens as goldens


def build(case, file_name="x.pth"):
    meta = goldens.read_layout(case).get("meta", {})
    return published.build_published(Checkpoint(goldens.tensors(case), meta), file_name)


@pytest.mark.parametrize("case", goldens.CASES)
def test_computes_what_the_original_computes(case, tmp_path):
    model, expected = build(case), goldens.expected(case)
    image = goldens.picture()
    assert zlib.crc32(np.ascontiguousarray(image[..., ::-1]).tobytes()) == int(expected["b_crc"])
    inputs = model.info.preprocess_image(image)[None]
    regression, classification = (np.asarray(x)[0] for x in model.predict_on_batch(inputs))
    assert len(regression) == int(expected["b_anchor_count"])
    scores = classification[:: goldens.STEP].astype("float64")
    for found, name in (
        (regression[:: goldens.STEP], "b_regression"),
        (_logit(scores), "b_logits"),
    ):
        span = np.ptp(expected[name])
        np.testing.assert_allclose(found, expected[name], rtol=0, atol=2e-5 * span)
    anchors = anchors_for_shape(image.shape, model.info.pyramid_levels, model.info.anchors)
    np.testing.assert_allclose(anchors[:: goldens.STEP], expected["b_anchors"], atol=2e-5)
    decoded = model.info.coder.decode(expected["decode_anchors"], expected["decode_deltas"])
    np.testing.assert_allclose(decoded, expected["decode_boxes"], rtol=1e-5, atol=1e-3)

    # A converted model, from a file, needs nothing else.
    models.set_info(model, replace(model.info, no_resize=True))
    path = tmp_path / "converted.keras"
    models.save_model(models.convert_model(model), path)
    detector = Detector(models.load_model(path))
    (found,) = detector.detect([image], max_detections=len(expected["b_labels"]))
    _check_same_set(found, expected)


def _logit(p):
    return np.log(p / (1 - p))


def _check_same_set(found, expected):
    """Check that each expected detection was found; neighbours in rank may change places."""
    assert len(found) == len(expected["b_labels"])
    free = np.ones(len(found), bool)
    rows = zip(*(expected[f"b_{name}"] for name in ("boxes", "scores", "labels")), strict=True)
    for box, score, label in rows:
        distance = np.abs(found.boxes - box).max(axis=1) + np.abs(found.scores - score)
        distance[~free | (found.labels != label)] = np.inf
        assert distance.min() < 0.02
        free[distance.argmin()] = False


def small(case):
    """The tensors of a case with one block in each stage, all 0."""
    return {
        name: np.zeros(shape, dtype)
        for name, shape, dtype in goldens.read_layout(case)["tensors"]
        if not re.search(r"\.(layer|res)\d\.[1-9]", name)
    }


def test_knows_what_its_library_does():
    tensors = small("torchvision_r50_fpn_v2")
    info = published.build_published(Checkpoint(tensors, {}), "x.pth").info
    assert (info.backbone, info.num_classes, info.box_loss) == ("resnet14_v1.5", 91, "giou")
    assert info.class_names[:3] == (None, "person", "bicycle")
    assert info.class_names[12] is None
    assert (info.image_min_side, info.image_max_side, info.pad_multiple) == (800, 1333, 32)
    restored = models.ModelInfo.from_dict(info.to_dict())
    assert restored == info


def blocks(count):
    """The first convolutions of so many blocks."""
    kernel = np.zeros((64, 256, 1, 1), "float32")
    return {f"backbone.layer1.{i}.conv1.weight": kernel for i in range(1, count)}


@pytest.fixture(scope="module")
def mmdet():
    """The tensors and the meta of an MMDetection checkpoint."""
    case = "mmdet_r50_fpn"
    return small(case), goldens.read_layout(case)["meta"]


@pytest.mark.parametrize(
    ("meta", "file_name", "style"),
    [
        ({"config": "backbone=dict(style='caffe')"}, "x.pth", "Caffe"),
        ({"config": 'backbone=dict(style="pytorch")'}, "a_caffe_b.pth", "PyTorch"),
        ({}, "retinanet_r50_caffe_fpn_1x_coco_20200531-f11027c5.pth", "Caffe"),
        ({}, "retinanet_x101_64x4d_fpn_1x_coco_20200130-366f5af1.pth", "PyTorch"),
        ({}, "retinanet_r18_fpn_1x_coco_20220407_171055-614fd399 (1).pth", "PyTorch"),
        ({}, "x.pth", None),
        ({"config": "style='pytorch', style='caffe'"}, "x.pth", None),
        ({"config": 5}, "retinanet.pth", None),
        ({"cfg": "backbone=dict(style='caffe')"}, "x.pth", "Caffe"),  # of MMDetection 3
        ({"config": "img_norm_cfg = dict(mean=[103.53, 116.28, 123.675])"}, "x.pth", "Caffe"),
        ({"config": "data_preprocessor=dict(mean=[123.675, 116.28])"}, "x.pth", "PyTorch"),
        ({"config": "mean=[0, 0, 0]"}, "x.pth", None),
    ],
)
def test_the_style_follows_from_the_file_not_from_the_shapes(meta, file_name, style):
    if style is None:
        with pytest.raises(ValueError, match="expected MMDetection's configuration"):
            published._mmdetection_style(meta, file_name)
    else:
        found = published._mmdetection_style(meta, file_name)
        assert found == f"MMDetection, {style} style"


def source_of(tensors, file_name="x.pth"):
    return published._source_name(translate(tensors), Checkpoint(tensors, {}), file_name)


def test_torchvisions_epsilon_follows_from_the_kind_of_normalisation():
    """Published weights have frozen statistics and 0; what torchvision trains anew has 1e-5."""
    published_ones = small("torchvision_r50_fpn")
    assert source_of(published_ones) == "torchvision v1"
    counted = {**published_ones, "backbone.body.bn1.num_batches_tracked": np.zeros((), "int64")}
    assert published.SOURCES[source_of(counted)].epsilon == 1e-5
    renamed = {
        re.sub(r"_head\.conv\.([0246])", lambda m: f"_head.conv.{int(m[1]) // 2}.0", name): values
        for name, values in published_ones.items()
    }
    with pytest.warns(UserWarning, match="x.pth: .* epsilon of batch normalisation, 0, is used"):
        assert source_of(renamed) == "torchvision v1"


def test_constants_of_older_files_of_detectron2_are_compared():
    info = published.SOURCES["detectron2"].info
    square = np.array([[-16, -16, 16, 16]])
    published._check_constants({}, info)
    published._check_constants(
        {"pixel_mean": np.array([[[103.53]], [[116.28]], [[123.675]]])}, info
    )
    for name, values in (
        ("pixel_mean", np.array([123.675, 116.28, 103.53])),
        ("pixel_std", np.array([57.375, 57.12, 58.395])),
        ("anchor_generator.cell_anchors.0", np.tile(square, (9, 1))),
        ("anchor_generator.cell_anchors.1", square),
    ):
        with pytest.raises(ValueError, match=f"{name}: expected .* as in a published RetinaNet"):
            published._check_constants({name: values}, info)


def test_names_of_the_file_count_where_they_are_others(mmdet):
    source = published.SOURCES["MMDetection, PyTorch style"]
    underscored = tuple(name.replace(" ", "_") for name in COCO)
    others = tuple(f"class {i}" for i in range(80))
    for given, wanted in (
        ({"CLASSES": underscored}, COCO),
        ({"dataset_meta": {"classes": list(others)}}, others),
        ({"CLASSES": others[:3]}, COCO),
        ({"CLASSES": None}, COCO),
    ):
        assert published._class_names(source, given) == wanted


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (lambda t: t.pop("backbone.layer2.0.conv3.weight"), "1 missing.*stage2_0_3_conv"),
        (lambda t: t.pop("backbone.layer3.0.bn1.weight"), "1 missing"),
        (lambda t: t.update({"backbone.extra.weight": np.zeros(3)}), "1 other tensors: .*extra"),
        (lambda t: t.update({"bbox_head.retina_cls.bias": np.zeros(27, "f")}), "80 classes.*27"),
        (lambda t: t.update({"backbone.conv1.weight": np.zeros((64, 3, 3, 3), "f")}), "1 of"),
        (lambda t: t.update({"backbone.bn1.bias": np.zeros(64, "int64")}), "1 of another"),
        (lambda t: t.pop("backbone.layer1.0.conv2.weight"), "four stages"),
        (lambda t: t.update(blocks(200)), "at most 100 blocks, got one of 2"),
    ],
)  # fmt: skip
def test_refuses_another_network(mmdet, change, text):
    tensors, meta = mmdet
    changed = dict(tensors)
    change(changed)
    with pytest.raises(ValueError, match=text) as caught:
        published.build_published(Checkpoint(changed, meta), "x.pth")
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize("kind", ["absent", "scalar", "empty"])
@pytest.mark.parametrize("name", ["bbox_head.retina_cls.bias", "backbone.layer1.0.conv2.weight"])
def test_refuses_a_tensor_that_is_none(mmdet, name, kind):
    tensors, meta = mmdet
    changed = {**tensors, name: np.zeros((0,) if kind == "empty" else (), "float32")}
    if kind == "absent":
        del changed[name]
    with pytest.raises(ValueError, match="expected a RetinaNet as it is|four stages"):
        published.build_published(Checkpoint(changed, meta), "x.pth")
