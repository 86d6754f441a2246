import keras
import numpy as np
import pytest

from keras_retinanet.backbone_table import BACKBONES
from keras_retinanet.models.published_resnet import ResNetDesign, published_resnet

DESIGNS = {
    "resnet18_v1.5": ResNetDesign((2, 2, 2, 2), basic=True),
    "resnet34_v1.5": ResNetDesign((3, 4, 6, 3), basic=True),
    "resnet50_v1.5": ResNetDesign((3, 4, 6, 3)),
    "resnet50_caffe": ResNetDesign((3, 4, 6, 3), stride_in_1x1=True),
    "resnet101_v1.5": ResNetDesign((3, 4, 23, 3)),
    "resnext101_32x4d_v1.5": ResNetDesign((3, 4, 23, 3), groups=32, width=128),
    "resnext101_64x4d_v1.5": ResNetDesign((3, 4, 23, 3), groups=64, width=256),
}


@pytest.mark.parametrize("name", DESIGNS)
def test_names(name):
    assert DESIGNS[name].name() == name
    assert name not in BACKBONES  # else weights of one would be read into the other


# Numbers of weights of torchvision's models without their classifier; for resnext101_32x4d and for
# the statistics of normalisation, the sum over the layers of the paper's table.
@pytest.mark.parametrize(
    ("name", "trainable"),
    [
        ("resnet18_v1.5", 11_689_512 - 513 * 1000),
        ("resnet50_v1.5", 25_557_032 - 2049 * 1000),
        ("resnext101_64x4d_v1.5", 83_455_272 - 2049 * 1000),
    ],
)
def test_numbers_of_weights(name, trainable):
    inputs = keras.Input((None, None, 3))
    model = keras.Model(inputs, published_resnet(inputs, DESIGNS[name]))
    statistics = sum(np.prod(w.shape) for w in model.weights if "moving" in w.name)
    assert model.count_params() - statistics == trainable
    assert not model.trainable_weights or all("norm" not in w.path for w in model.trainable_weights)


@pytest.mark.parametrize("in_1x1", [False, True])
def test_strides_and_sizes(in_1x1):
    inputs = keras.Input((64, 96, 3))
    design = ResNetDesign((1, 1, 1, 1), stride_in_1x1=in_1x1, width=8)
    outputs = published_resnet(inputs, design)
    sizes = {"C2": (16, 24), "C3": (8, 12), "C4": (4, 6), "C5": (2, 3)}
    assert {name: output.shape[1:3] for name, output in outputs.items()} == sizes
    model = keras.Model(inputs, outputs)
    strides = [model.get_layer(f"stage2_0_{i}_conv").strides[0] for i in (1, 2)]
    assert strides == ([2, 1] if in_1x1 else [1, 2])


def test_the_stem_is_padded_on_every_side():
    """Convolution and pooling see one corner of the image as they see the mirrored other one."""
    inputs = keras.Input((32, 32, 3))
    outputs = published_resnet(inputs, ResNetDesign((1, 1, 1, 1), width=4))
    model = keras.Model(inputs, keras.Model(inputs, outputs).get_layer("stem_pool").output)
    kernel = np.ones((7, 7, 3, 64), "float32")
    model.get_layer("stem_conv").set_weights([kernel])
    found = np.asarray(model(np.ones((1, 32, 32, 3), "float32")))[0, :, :, 0]
    # 4 x 4, 4 x 6 or 4 x 7 of the 7 x 7 pixels lie on the image around its first rows; the pooling
    # takes the best of three, so that each value is that of the next row inside.
    assert found[0, 0] == pytest.approx(3 * 6 * 6, rel=1e-4)
    assert found[1, 1] == pytest.approx(3 * 7 * 7, rel=1e-4)


def test_a_grouped_kernel_works_on_its_own_channels():
    """PyTorch keeps kernels as (out, in / groups, h, w), the outputs of a group together."""
    inputs = keras.Input((6, 6, 3))
    design = ResNetDesign((1, 1, 1, 1), groups=2, width=4)
    layer = keras.Model(inputs, published_resnet(inputs, design)).get_layer("stage1_0_2_conv")
    rng = np.random.default_rng(0)
    kernel = rng.normal(size=(4, 2, 3, 3)).astype("float32")
    layer.set_weights([kernel.transpose(2, 3, 1, 0)])
    x = rng.normal(size=(1, 3, 3, 4)).astype("float32")
    found = np.asarray(layer(x))[0, 1, 1]
    # In the middle cell the kernel lies on all of x.
    expected = [
        np.sum(kernel[out] * x[0, :, :, 2 * (out // 2) : 2 * (out // 2) + 2].transpose(2, 0, 1))
        for out in range(4)
    ]
    np.testing.assert_allclose(found, expected, rtol=1e-4)
