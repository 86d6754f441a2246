"""The old import paths give the very objects of the new ones."""

import importlib

import pytest

PATHS = {
    ("utils.anchors", "AnchorParameters"): "geometry.anchors",
    ("utils.anchors", "anchors_for_shape"): "geometry.anchors",
    ("utils.anchors", "anchor_targets_bbox"): "geometry.targets",
    ("utils.anchors", "compute_gt_annotations"): "geometry.targets",
    ("utils.anchors", "generate_anchors"): "geometry.anchors",
    ("utils.anchors", "guess_shapes"): "geometry.anchors",
    ("utils.anchors", "layer_shapes"): "geometry.anchors",
    ("utils.anchors", "make_shapes_callback"): "geometry.anchors",
    ("utils.anchors", "shift"): "geometry.boxes",
    ("utils.config", "read_config_file"): "config",
    ("utils.config", "parse_anchor_parameters"): "config",
    ("utils.config", "parse_pyramid_levels"): "config",
    ("utils.gpu", "setup_gpu"): "system.devices",
    ("utils.image", "TransformParameters"): "augmentation.transforms",
    ("utils.image", "adjust_transform_for_image"): "augmentation.transforms",
    ("utils.image", "apply_transform"): "augmentation.transforms",
    ("utils.image", "adjust_hue"): "augmentation.colours",
    ("utils.image", "VisualEffect"): "augmentation.colours",
    ("utils.image", "random_visual_effect_generator"): "augmentation.colours",
    ("utils.image", "compute_resize_scale"): "images",
    ("utils.image", "preprocess_image"): "images",
    ("utils.image", "read_image_bgr"): "images",
    ("utils.image", "resize_image"): "images",
    ("utils.transform", "change_transform_origin"): "augmentation.transforms",
    ("utils.transform", "colvec"): "augmentation.transforms",
    ("utils.transform", "random_transform"): "augmentation.transforms",
    ("utils.transform", "random_transform_generator"): "augmentation.transforms",
    ("utils.transform", "transform_aabb"): "augmentation.transforms",
}


@pytest.mark.parametrize(("old", "name"), list(PATHS))
def test_old_path(old, name):
    new = importlib.import_module(f"keras_retinanet.{PATHS[old, name]}")
    assert getattr(importlib.import_module(f"keras_retinanet.{old}"), name) is getattr(new, name)


def test_renamed_functions():
    boxes = importlib.import_module("keras_retinanet.geometry.boxes")
    coders = importlib.import_module("keras_retinanet.geometry.coders")
    anchors = importlib.import_module("keras_retinanet.utils.anchors")
    overlap = importlib.import_module("keras_retinanet.utils.compute_overlap")
    assert anchors.bbox_transform is coders.bbox_transform
    assert overlap.compute_overlap is boxes.iou
