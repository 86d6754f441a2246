"""Every public name of keras-retinanet 1.0.0, with its parameters, where it always was.

Public is what a module defines under a name without an underscore, and what its package offers.
Left out are the methods that Keras calls (`call`, `get_config`, the hooks of callbacks, ...).
"""

import importlib
import inspect

import numpy as np
import pytest

# Defaults that are others on purpose: what is there now, and why.
CHANGED = {
    # The compact form takes a hundredth of the memory; the losses take both.
    ("preprocessing.generator", "Generator"): "compute_anchor_targets=anchor_targets_compact",
    # A list as a default can be changed by accident.
    ("layers.filter_detections", "filter_detections"): "other=()",
    # Keras 3 needs this one.
    ("utils.tf_version", "assert_tf_version"): "minimum_tf_version=(2, 21, 0)",
    ("utils.tf_version", "tf_version_ok"): "minimum_tf_version=(2, 21, 0)",
}

# As inspect.signature said of keras-retinanet 1.0.0; functions, modules and voc_classes by name.
OLD = """
[backend]
bbox_transform_inv(boxes, deltas, mean=None, std=None)
map_fn(*args, **kwargs)
resize_images(images, size, method='bilinear', align_corners=False)
shift(shape, stride, anchors)
[backend.backend]
bbox_transform_inv(boxes, deltas, mean=None, std=None)
map_fn(*args, **kwargs)
resize_images(images, size, method='bilinear', align_corners=False)
shift(shape, stride, anchors)
[bin.convert_model]
main(args=None)
parse_args(args)
[bin.debug]
create_generator(args)
leftkeys
main(args=None)
make_output_path(output_dir, image_path, flatten=False)
parse_args(args)
rightkeys
run(generator, args, anchor_params, pyramid_levels)
[bin.evaluate]
create_generator(args, preprocess_image)
main(args=None)
parse_args(args)
[bin.train]
check_args(parsed_args)
create_callbacks(model, training_model, prediction_model, validation_generator, args)
create_generators(args, preprocess_image)
create_models(backbone_retinanet, num_classes, weights, multi_gpu=0, freeze_backbone=False, lr=1e-05, optimizer_clipnorm=0.001, config=None)
main(args=None)
makedirs(path)
model_with_weights(model, weights, skip_mismatch)
parse_args(args)
[callbacks]
RedirectModel(callback, model)
[callbacks.coco]
CocoEval(generator, tensorboard=None, threshold=0.05)
[callbacks.common]
RedirectModel(callback, model)
[callbacks.eval]
Evaluate(generator, iou_threshold=0.5, score_threshold=0.05, max_detections=100, save_path=None, tensorboard=None, weighted_average=False, verbose=1)
[initializers]
PriorProbability(probability=0.01)
[layers]
Anchors(size, stride, ratios=None, scales=None, *args, **kwargs)
ClipBoxes(*args, **kwargs)
FilterDetections(nms=True, class_specific_filter=True, nms_threshold=0.5, score_threshold=0.05, max_detections=300, parallel_iterations=32, **kwargs)
RegressBoxes(mean=None, std=None, *args, **kwargs)
UpsampleLike(*args, **kwargs)
[layers.filter_detections]
FilterDetections(nms=True, class_specific_filter=True, nms_threshold=0.5, score_threshold=0.05, max_detections=300, parallel_iterations=32, **kwargs)
filter_detections(boxes, classification, other=[], class_specific_filter=True, nms=True, score_threshold=0.05, max_detections=300, nms_threshold=0.5)
[losses]
focal(alpha=0.25, gamma=2.0, cutoff=0.5)
smooth_l1(sigma=3.0)
[models]
Backbone(backbone)
Backbone.retinanet(self, *args, **kwargs)
Backbone.download_imagenet(self)
Backbone.validate(self)
Backbone.preprocess_image(self, inputs)
assert_training_model(model)
backbone(backbone_name)
check_training_model(model)
convert_model(model, nms=True, class_specific_filter=True, anchor_params=None, **kwargs)
load_model(filepath, backbone_name='resnet50')
[models.densenet]
DenseNetBackbone(backbone)
DenseNetBackbone.retinanet(self, *args, **kwargs)
DenseNetBackbone.download_imagenet(self)
DenseNetBackbone.validate(self)
DenseNetBackbone.preprocess_image(self, inputs)
allowed_backbones
densenet_retinanet(num_classes, backbone='densenet121', inputs=None, modifier=None, **kwargs)
[models.effnet]
EfficientNetBackbone(backbone)
EfficientNetBackbone.retinanet(self, *args, **kwargs)
EfficientNetBackbone.download_imagenet(self)
EfficientNetBackbone.validate(self)
EfficientNetBackbone.preprocess_image(self, inputs)
effnet_retinanet(num_classes, backbone='EfficientNetB0', inputs=None, modifier=None, **kwargs)
[models.mobilenet]
MobileNetBackbone(backbone)
MobileNetBackbone.retinanet(self, *args, **kwargs)
MobileNetBackbone.download_imagenet(self)
MobileNetBackbone.validate(self)
MobileNetBackbone.preprocess_image(self, inputs)
MobileNetBackbone.allowed_backbones
mobilenet_retinanet(num_classes, backbone='mobilenet224_1.0', inputs=None, modifier=None, **kwargs)
[models.resnet]
ResNetBackbone(backbone)
ResNetBackbone.retinanet(self, *args, **kwargs)
ResNetBackbone.download_imagenet(self)
ResNetBackbone.validate(self)
ResNetBackbone.preprocess_image(self, inputs)
resnet101_retinanet(num_classes, inputs=None, **kwargs)
resnet152_retinanet(num_classes, inputs=None, **kwargs)
resnet50_retinanet(num_classes, inputs=None, **kwargs)
resnet_retinanet(num_classes, backbone='resnet50', inputs=None, modifier=None, **kwargs)
[models.retinanet]
default_classification_model(num_classes, num_anchors, pyramid_feature_size=256, prior_probability=0.01, classification_feature_size=256, name='classification_submodel')
default_regression_model(num_values, num_anchors, pyramid_feature_size=256, regression_feature_size=256, name='regression_submodel')
default_submodels(num_classes, num_anchors)
retinanet(inputs, backbone_layers, num_classes, num_anchors=None, create_pyramid_features=create_pyramid_features, pyramid_levels=None, submodels=None, name='retinanet')
retinanet_bbox(model=None, nms=True, class_specific_filter=True, name='retinanet-bbox', anchor_params=None, pyramid_levels=None, nms_threshold=0.5, score_threshold=0.05, max_detections=300, parallel_iterations=32, **kwargs)
[models.senet]
SeBackbone(backbone)
SeBackbone.retinanet(self, *args, **kwargs)
SeBackbone.download_imagenet(self)
SeBackbone.validate(self)
SeBackbone.preprocess_image(self, inputs)
senet154_retinanet(num_classes, inputs=None, **kwargs)
senet_retinanet(num_classes, backbone='seresnext50', inputs=None, modifier=None, **kwargs)
seresnet101_retinanet(num_classes, inputs=None, **kwargs)
seresnet152_retinanet(num_classes, inputs=None, **kwargs)
seresnet18_retinanet(num_classes, inputs=None, **kwargs)
seresnet34_retinanet(num_classes, inputs=None, **kwargs)
seresnet50_retinanet(num_classes, inputs=None, **kwargs)
seresnext101_retinanet(num_classes, inputs=None, **kwargs)
seresnext50_retinanet(num_classes, inputs=None, **kwargs)
[models.vgg]
VGGBackbone(backbone)
VGGBackbone.retinanet(self, *args, **kwargs)
VGGBackbone.download_imagenet(self)
VGGBackbone.validate(self)
VGGBackbone.preprocess_image(self, inputs)
vgg_retinanet(num_classes, backbone='vgg16', inputs=None, modifier=None, **kwargs)
[preprocessing.coco]
CocoGenerator(data_dir, set_name, **kwargs)
CocoGenerator.load_classes(self)
CocoGenerator.coco_label_to_label(self, coco_label)
CocoGenerator.coco_label_to_name(self, coco_label)
CocoGenerator.label_to_coco_label(self, label)
[preprocessing.csv_generator]
CSVGenerator(csv_data_file, csv_class_file, base_dir=None, **kwargs)
[preprocessing.generator]
Generator(transform_generator=None, visual_effect_generator=None, batch_size=1, group_method='ratio', shuffle_groups=True, image_min_side=800, image_max_side=1333, no_resize=False, transform_parameters=None, compute_anchor_targets=anchor_targets_bbox, compute_shapes=guess_shapes, preprocess_image=preprocess_image, config=None)
Generator.on_epoch_end(self)
Generator.size(self)
Generator.num_classes(self)
Generator.has_label(self, label)
Generator.has_name(self, name)
Generator.name_to_label(self, name)
Generator.label_to_name(self, label)
Generator.image_aspect_ratio(self, image_index)
Generator.image_path(self, image_index)
Generator.load_image(self, image_index)
Generator.load_annotations(self, image_index)
Generator.load_annotations_group(self, group)
Generator.filter_annotations(self, image_group, annotations_group, group)
Generator.load_image_group(self, group)
Generator.random_visual_effect_group_entry(self, image, annotations)
Generator.random_visual_effect_group(self, image_group, annotations_group)
Generator.random_transform_group_entry(self, image, annotations, transform=None)
Generator.random_transform_group(self, image_group, annotations_group)
Generator.resize_image(self, image)
Generator.preprocess_group_entry(self, image, annotations)
Generator.preprocess_group(self, image_group, annotations_group)
Generator.group_images(self)
Generator.compute_inputs(self, image_group)
Generator.generate_anchors(self, image_shape)
Generator.compute_targets(self, image_group, annotations_group)
Generator.compute_input_output(self, group)
[preprocessing.kitti]
KittiGenerator(base_dir, subset='train', **kwargs)
kitti_classes
[preprocessing.open_images]
OpenImagesGenerator(main_dir, subset, version='v4', labels_filter=None, annotation_cache_dir='.', parent_label=None, **kwargs)
find_hierarchy_parent(hierarchy, parent_cls)
generate_images_annotations_json(main_dir, metadata_dir, subset, cls_index, version='v4')
get_labels(metadata_dir, version='v4')
load_hierarchy(metadata_dir, version='v4')
load_hierarchy_children(hierarchy)
[preprocessing.pascal_voc]
PascalVocGenerator(data_dir, set_name, classes=voc_classes, image_extension='.jpg', skip_truncated=False, skip_difficult=False, **kwargs)
voc_classes
[utils.anchors]
AnchorParameters(sizes, strides, ratios, scales)
AnchorParameters.num_anchors(self)
AnchorParameters.default
anchor_targets_bbox(anchors, image_group, annotations_group, num_classes, negative_overlap=0.4, positive_overlap=0.5)
anchors_for_shape(image_shape, pyramid_levels=None, anchor_params=None, shapes_callback=None)
bbox_transform(anchors, gt_boxes, mean=None, std=None)
compute_gt_annotations(anchors, annotations, negative_overlap=0.4, positive_overlap=0.5)
generate_anchors(base_size=16, ratios=None, scales=None)
guess_shapes(image_shape, pyramid_levels)
layer_shapes(image_shape, model)
make_shapes_callback(model)
shift(shape, stride, anchors)
[utils.coco_eval]
evaluate_coco(generator, model, threshold=0.05)
[utils.colors]
colors
label_color(label)
[utils.compute_overlap]
compute_overlap(boxes, query_boxes)
[utils.config]
parse_anchor_parameters(config)
parse_pyramid_levels(config)
read_config_file(config_path)
[utils.eval]
evaluate(generator, model, iou_threshold=0.5, score_threshold=0.05, max_detections=100, save_path=None)
[utils.gpu]
setup_gpu(gpu_id)
[utils.image]
TransformParameters(fill_mode='nearest', interpolation='linear', cval=0, relative_translation=True)
TransformParameters.cvBorderMode(self)
TransformParameters.cvInterpolation(self)
VisualEffect(contrast_factor, brightness_delta, hue_delta, saturation_factor)
adjust_brightness(image, delta)
adjust_contrast(image, factor)
adjust_hue(image, delta)
adjust_saturation(image, factor)
adjust_transform_for_image(transform, image, relative_translation)
apply_transform(matrix, image, params)
compute_resize_scale(image_shape, min_side=800, max_side=1333)
preprocess_image(x, mode='caffe')
random_visual_effect_generator(contrast_range=(0.9, 1.1), brightness_range=(-0.1, 0.1), hue_range=(-0.05, 0.05), saturation_range=(0.95, 1.05))
read_image_bgr(path)
resize_image(img, min_side=800, max_side=1333)
[utils.model]
freeze(model)
[utils.tf_version]
BLACKLISTED_TF_VERSIONS
MINIMUM_TF_VERSION
assert_tf_version(minimum_tf_version=(2, 3, 0), blacklisted=[])
check_tf_version()
tf_version()
tf_version_ok(minimum_tf_version=(2, 3, 0), blacklisted=[])
[utils.transform]
change_transform_origin(transform, center)
colvec(*args)
random_flip(flip_x_chance, flip_y_chance, prng=numpy.random)
random_rotation(min, max, prng=numpy.random)
random_scaling(min, max, prng=numpy.random)
random_shear(min, max, prng=numpy.random)
random_transform(min_rotation=0, max_rotation=0, min_translation=(0, 0), max_translation=(0, 0), min_shear=0, max_shear=0, min_scaling=(1, 1), max_scaling=(1, 1), flip_x_chance=0, flip_y_chance=0, prng=numpy.random)
random_transform_generator(prng=None, **kwargs)
random_translation(min, max, prng=numpy.random)
rotation(angle)
scaling(factor)
shear(angle)
transform_aabb(transform, aabb)
translation(translation)
[utils.visualization]
draw_annotations(image, annotations, color=(0, 255, 0), label_to_name=None)
draw_box(image, box, color, thickness=2)
draw_boxes(image, boxes, color, thickness=2)
draw_caption(image, box, caption)
draw_detections(image, boxes, scores, labels, color=None, label_to_name=None, score_threshold=0.5)
"""  # noqa: E501


def read_old() -> dict[tuple[str, str], str | None]:
    """Return (path, name) -> the parameters; None for what is no function or class."""
    names, path = {}, None
    for line in OLD.split("\n"):
        if line.startswith("["):
            path = line[1:-1]
        elif line:
            name, bracket, parameters = line.partition("(")
            names[path, name] = parameters[:-1] if bracket else None
    return names


NAMES = read_old()


def find(path, name):
    found = importlib.import_module(f"keras_retinanet.{path}")
    for part in name.split("."):
        found = getattr(found, part)
    return found


def written(parameter) -> str:
    """Return a parameter as the list has it."""
    stars = {parameter.VAR_POSITIONAL: "*", parameter.VAR_KEYWORD: "**"}.get(parameter.kind, "")
    default = parameter.default
    if default is parameter.empty:
        return stars + parameter.name
    if isinstance(default, dict):
        text = "voc_classes"
    else:
        text = getattr(default, "__name__", None) or repr(default)
    return f"{parameter.name}={text}"


@pytest.mark.parametrize(("path", "name"), NAMES)
def test_old_name(path, name):
    found, old = find(path, name), NAMES[path, name]
    if old is None:
        assert not callable(found)
        return
    parameters = inspect.signature(found).parameters.values()
    new = [p for p in parameters if p.kind == p.KEYWORD_ONLY]
    assert all(p.default is not p.empty for p in new)
    changed = CHANGED.get((path, name), "")
    expected = ", ".join(
        changed if text.partition("=")[0] == changed.partition("=")[0] else text
        for text in split(old)
    )
    assert ", ".join(written(p) for p in parameters if p not in new) == expected


def split(parameters) -> list[str]:
    """Return the parts between commas that no bracket encloses."""
    parts, depth = [""], 0
    for letter in parameters:
        depth += (letter in "([") - (letter in ")]")
        if letter == "," and not depth:
            parts.append("")
        else:
            parts[-1] += letter
    return [part.strip() for part in parts]


@pytest.mark.parametrize(("path", "name"), NAMES)
def test_an_old_path_gives_the_very_object(path, name):
    found = find(path, name)
    if NAMES[path, name] is None or isinstance(found, property):
        return
    home = importlib.import_module(inspect.unwrap(found).__module__)
    for part in found.__qualname__.split("."):
        home = getattr(home, part)
    assert found is home
    assert home.__module__.startswith("keras_retinanet.")


def test_the_old_values():
    assert find("preprocessing.kitti", "kitti_classes")["Tram"] == 6
    assert find("preprocessing.pascal_voc", "voc_classes")["tvmonitor"] == 19
    assert np.shape(find("utils.colors", "colors")) == (80, 3)
    default = find("utils.anchors", "AnchorParameters.default")
    assert list(default.sizes) == [32, 64, 128, 256, 512]
    assert default.num_anchors() == 9
