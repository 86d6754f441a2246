"""The table of backbones: name -> module, normalisation of its images, ImageNet weights.

This module imports no TensorFlow, so that a command can print the table at once.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Entry:
    """One backbone.

    Attributes:
        module: name of the module that builds it. It has `features(name, inputs, *, freeze_bn)`,
            which returns a model with the outputs C2 (stride 4) to C5 (stride 32), and, where
            published weight files have another layout, `translate(stored, model)`.
        parameters: number of weights up to C5.
        normalisation: the mode of `images.preprocess_image` that the ImageNet weights expect.
        url: of the ImageNet weights; None if none are published for Keras.
        file_hash: MD5 or SHA-256 hash of that file; None where none is published.
    """

    module: str
    parameters: int
    normalisation: str
    url: str | None = None
    file_hash: str | None = None


_MODELS = "keras_retinanet.models"
_KERAS = "https://storage.googleapis.com/tensorflow/keras-applications"
_NO_TOP = "_weights_tf_dim_ordering_tf_kernels_notop.h5"
_SE = "https://github.com/qubvel/classification_models/releases/download/0.0.1"


def _resnet(depth: int, parameters: int, md5: str) -> Entry:
    """Return a ResNet, with the weights that keras-retinanet has always used."""
    url = f"https://github.com/fizyr/keras-models/releases/download/v0.0.1/ResNet-{depth}-model.keras.h5"
    return Entry(f"{_MODELS}.resnet", parameters, "caffe", url, md5)


def _applications(
    folder: str, file: str, parameters: int, normalisation: str, file_hash: str | None = None
) -> Entry:
    """Return a network of `keras.applications`, with Keras's weights."""
    module = f"{_MODELS}.applications"
    return Entry(module, parameters, normalisation, f"{_KERAS}/{folder}/{file}", file_hash)


def _mobilenets() -> dict[str, Entry]:
    """Return MobileNet in four widths, with weights from images of four sizes."""
    widths = {
        "1.0": ("1_0", 3_228_864),
        "0.75": ("7_5", 1_832_976),
        "0.5": ("5_0", 829_536),
        "0.25": ("2_5", 218_544),
    }
    return {
        f"mobilenet{size}_{width}": _applications(
            "mobilenet", f"mobilenet_{text}_{size}_tf_no_top.h5", parameters, "tf_rgb"
        )
        for size in (128, 160, 192, 224)
        for width, (text, parameters) in widths.items()
    }


def _efficientnet(number: int, parameters: int, md5: str) -> Entry:
    url = f"https://storage.googleapis.com/keras-applications/efficientnetb{number}_notop.h5"
    return Entry(f"{_MODELS}.applications", parameters, "torch_rgb", url, md5)


def _efficientnet_v2(size: str, parameters: int, md5: str) -> Entry:
    file = f"efficientnetv2-{size}_notop.h5"
    return _applications("efficientnet_v2", file, parameters, "rgb", md5)


def _mobilenet_v3(size: str, parameters: int, md5: str) -> Entry:
    file = f"weights_mobilenet_v3_{size}_224_1.0_float_no_top_v2.h5"
    return _applications("mobilenet_v3", file, parameters, "rgb", md5)


def _convnext(size: str, parameters: int, sha256: str) -> Entry:
    return _applications("convnext", f"convnext_{size}_notop.h5", parameters, "rgb", sha256)


def _resnet_v2(depth: int, parameters: int, md5: str) -> Entry:
    return _applications("resnet", f"resnet{depth}v2{_NO_TOP}", parameters, "tf_rgb", md5)


def _densenet(depth: int, parameters: int, md5: str) -> Entry:
    return _applications("densenet", f"densenet{depth}{_NO_TOP}", parameters, "torch_rgb", md5)


def _vgg(depth: int, parameters: int, md5: str) -> Entry:
    return _applications(f"vgg{depth}", f"vgg{depth}{_NO_TOP}", parameters, "caffe", md5)


def _preactivated(name: str, parameters: int, md5: str) -> Entry:
    url = f"{_SE}/{name}_imagenet_1000_no_top.h5"
    return Entry(f"{_MODELS}.preactivated_resnet", parameters, "rgb", url, md5)


def _senet(name: str, parameters: int, md5: str) -> Entry:
    url = f"{_SE}/{name}_imagenet_1000_no_top.h5"
    return Entry(f"{_MODELS}.senet", parameters, "torch_rgb", url, md5)


def _resnext(name: str, parameters: int, md5: str | None) -> Entry:
    url = f"{_KERAS}/resnet/{name}{_NO_TOP}" if md5 else None
    return Entry(f"{_MODELS}.resnext", parameters, "torch_rgb", url, md5)


BACKBONES: dict[str, Entry] = {
    "resnet18": _preactivated("resnet18", 11_186_889, "318e3ac0cd98d51e917526c9f62f0b50"),
    "resnet34": _preactivated("resnet34", 21_302_473, "8caaa0ad39d927cb8ba5385bf945d582"),
    "resnet50": _resnet(50, 23_561_152, "3e9f4e4f77bbe2c9bec13b53ee1c2319"),
    "resnet101": _resnet(101, 42_605_504, "05dc86924389e5b401a9ea0348a3213c"),
    "resnet152": _resnet(152, 58_295_232, "6ee11ef2b135592f8031058820bb9e71"),
    "resnet18_0.5": Entry(f"{_MODELS}.small_resnet", 2_803_680, "tf_rgb"),
    "resnet50v2": _resnet_v2(50, 23_564_800, "fac2f116257151a9d068a22e544a4917"),
    "resnet101v2": _resnet_v2(101, 42_626_560, "c0ed64b8031c3730f411d2eb4eea35b5"),
    "resnet152v2": _resnet_v2(152, 58_331_648, "ed17cf2e0169df9d443503ef94b23b33"),
    "resnext50": _resnext("resnext50", 23_048_128, "62527c363bdd9ec598bed41947b379fc"),
    "resnext101": _resnext("resnext101", 42_266_560, "0f678c91647380debd923963594981b3"),
    "resnext101_32x8d": _resnext("resnext101_32x8d", 86_945_216, None),
    "seresnet18": _preactivated("seresnet18", 11_275_969, "a46e5cd4114ac946ecdc58741e8d92ea"),
    "seresnet34": _preactivated("seresnet34", 21_463_669, "3348fd049f1f9ad307c070ff2b6ec4cb"),
    "seresnet50": _senet("seresnet50", 26_092_144, "043777781b0d5ca756474d60bf115ef1"),
    "seresnet101": _senet("seresnet101", 47_383_216, "1c373b0c196918713da86951d1239007"),
    "seresnet152": _senet("seresnet152", 64_924_272, "f58d4c1a511c7445ab9a2c2b83ee4e7b"),
    "seresnext50": _senet("seresnext50", 25_579_120, "b0f23d2e1cd406d67335fb92d85cc279"),
    "seresnext101": _senet("seresnext101", 47_044_272, "e48708cbe40071cc3356016c37f6c9c7"),
    "senet154": _senet("senet154", 113_287_536, "d854ff2cd7e6a87b05a8124cd283e0f2"),
    **_mobilenets(),
    "mobilenet_v2": _applications(
        "mobilenet_v2",
        "mobilenet_v2_weights_tf_dim_ordering_tf_kernels_1.0_224_no_top.h5",
        2_257_984,
        "tf_rgb",
    ),
    "mobilenet_v3_small": _mobilenet_v3("small", 939_120, "d3e8ec802a04aa4fc771ee12a9a9b836"),
    "mobilenet_v3_large": _mobilenet_v3("large", 2_996_352, "07fb09a5933dd0c8eaafa16978110389"),
    "densenet121": _densenet(121, 7_033_408, "30ee3e1110167f948a6b9946edeeb738"),
    "densenet169": _densenet(169, 12_636_224, "b8c4d4c20dd625c148057b9ff1c1176b"),
    "densenet201": _densenet(201, 18_314_304, "c13680b51ded0fb44dff2d8f86ac8bb1"),
    "vgg16": _vgg(16, 14_714_688, "6d6bbae143d832006294945121d1f1fc"),
    "vgg19": _vgg(19, 20_024_384, "253f8cb515780f3b799900260a226db6"),
    "EfficientNetB0": _efficientnet(0, 4_049_564, "50bc09e76180e00e4465e1a485ddc09d"),
    "EfficientNetB1": _efficientnet(1, 6_575_232, "74c4e6b3e1f6a1eea24c589628592432"),
    "EfficientNetB2": _efficientnet(2, 7_768_562, "111f8e2ac8aa800a7a99e3239f7bfb39"),
    "EfficientNetB3": _efficientnet(3, 10_783_528, "af6d107764bb5b1abb91932881670226"),
    "EfficientNetB4": _efficientnet(4, 17_673_816, "ebc24e6d6c33eaebbd558eafbeedf1ba"),
    "EfficientNetB5": _efficientnet(5, 28_513_520, "38879255a25d3c92d5e44e04ae6cec6f"),
    "EfficientNetB6": _efficientnet(6, 40_960_136, "9ecce42647a20130c1f39a5d4cb75743"),
    "EfficientNetB7": _efficientnet(7, 64_097_680, "cbcfe4450ddf6f3ad90b1b398090fe4a"),
    "efficientnet_v2_b0": _efficientnet_v2("b0", 5_919_312, "893217f2bb855e2983157299931e43ff"),
    "efficientnet_v2_b1": _efficientnet_v2("b1", 6_931_124, "0e80663031ca32d657f9caa404b6ec37"),
    "efficientnet_v2_b2": _efficientnet_v2("b2", 8_769_374, "1dfe2e7a5d45b6632553a8961ea609eb"),
    "efficientnet_v2_b3": _efficientnet_v2("b3", 12_930_622, "f6abf7b5849ac99a89b50dd3fd532856"),
    "efficientnet_v2_s": _efficientnet_v2("s", 20_331_360, "af0682fb74e8c54910f2d4393339c070"),
    "efficientnet_v2_m": _efficientnet_v2("m", 53_150_388, "1b8dc055df72dde80d614482840fe342"),
    "efficientnet_v2_l": _efficientnet_v2("l", 117_746_848, "b0b66b5c863aef5b46e8608fe1711615"),
    "convnext_tiny": _convnext(
        "tiny", 27_818_592, "d547c096cabd03329d7be5562c5e14798aa39ed24b474157cef5e85ab9e49ef1"
    ),
    "convnext_small": _convnext(
        "small", 49_453_152, "6fc8009faa2f00c1c1dfce59feea9b0745eb260a7dd11bee65c8e20843da6eab"
    ),
    "convnext_base": _convnext(
        "base", 87_564_416, "40a20c5548a5e9202f69735ecc06c990e6b7c9d2de39f0361e27baeb24cb7c45"
    ),
}
