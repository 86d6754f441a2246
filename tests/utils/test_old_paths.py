"""The old import paths give the very objects of the new ones."""

import importlib

import pytest

PATHS = {
    ("utils.anchors", "AnchorParameters"): "anchors",
    ("utils.anchors", "anchors_for_shape"): "anchors",
    ("utils.anchors", "anchor_targets_bbox"): "targets",
    ("utils.anchors", "compute_gt_annotations"): "targets",
    ("utils.anchors", "generate_anchors"): "anchors",
    ("utils.anchors", "guess_shapes"): "anchors",
    ("utils.anchors", "layer_shapes"): "anchors",
    ("utils.anchors", "make_shapes_callback"): "anchors",
    ("utils.anchors", "shift"): "boxes",
    ("utils.config", "read_config_file"): "config",
    ("utils.config", "parse_anchor_parameters"): "config",
    ("utils.config", "parse_pyramid_levels"): "config",
    ("utils.gpu", "setup_gpu"): "bin.common",
    ("utils.image", "TransformParameters"): "augmentation",
    ("utils.image", "adjust_transform_for_image"): "augmentation",
    ("utils.image", "apply_transform"): "augmentation",
    ("utils.image", "adjust_hue"): "colour_effects",
    ("utils.image", "VisualEffect"): "colour_effects",
    ("utils.image", "random_visual_effect_generator"): "colour_effects",
    ("utils.image", "compute_resize_scale"): "images",
    ("utils.image", "preprocess_image"): "images",
    ("utils.image", "read_image_bgr"): "images",
    ("utils.image", "resize_image"): "images",
    ("utils.transform", "change_transform_origin"): "augmentation",
    ("utils.transform", "colvec"): "augmentation",
    ("utils.transform", "random_transform"): "augmentation",
    ("utils.transform", "random_transform_generator"): "augmentation",
    ("utils.transform", "transform_aabb"): "augmentation",
}


@pytest.mark.parametrize(("old", "name"), list(PATHS))
def test_old_path(old, name):
    new = importlib.import_module(f"keras_retinanet.{PATHS[old, name]}")
    assert getattr(importlib.import_module(f"keras_retinanet.{old}"), name) is getattr(new, name)


def test_renamed_functions():
    boxes = importlib.import_module("keras_retinanet.boxes")
    anchors = importlib.import_module("keras_retinanet.utils.anchors")
    overlap = importlib.import_module("keras_retinanet.utils.compute_overlap")
    assert anchors.bbox_transform is boxes.encode
    assert overlap.compute_overlap is boxes.iou
