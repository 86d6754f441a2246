"""What the processes of gpu.py do: each measures one configuration of one package.

Images and targets of a training step lie on the device before the clock starts; `retinanet-train`
copies them there while the step before runs. The time ends when the device is done.
"""

import statistics
import time

import detection_networks as networks
from common import TORCHVISION, peak_memory

WARM_UP = 3  # steps before the clock starts: compiling, choosing kernels
BLOCKS = 3  # the steps are timed in so many blocks, whose median counts
# Batch normalisation has this factor. With 1 the numbers of a network with random weights grow from
# block to block, and leave the range of float16.
SCALE = 0.5


def run(package, case, options) -> dict:
    """Return what there is to say of a configuration: "ms" and "MB", or the "device"."""
    if package == TORCHVISION:
        kinds = {"training step": torch_step, "inference": torch_inference, "device": torch_device}
        return kinds[case.measure](case)
    kinds = {"training step": step, "inference": inference, "device": device}
    return pipeline(case, options) if case.measure == "pipeline" else kinds[case.measure](case)


def timed(call, wait, steps) -> float:
    """Return the median time of a call in milliseconds.

    Args:
        call: what to measure.
        wait: function that returns when the device has done all that it was given.
        steps: number of calls.
    """
    for _ in range(WARM_UP):
        call()
    wait()
    each = max(1, steps // BLOCKS)
    times = []
    for _ in range(BLOCKS):
        start = time.perf_counter()
        for _ in range(each):
            call()
        wait()
        times.append((time.perf_counter() - start) / each * 1e3)
    return statistics.median(times)


def start():
    """Start TensorFlow as the commands do; return it."""
    from keras_retinanet.system import devices

    devices.start_tensorflow()
    devices.setup_gpu(None)
    import tensorflow as tf

    return tf


def build(case):
    """Return a training model in its precision, with weights that keep its numbers small."""
    import keras

    from keras_retinanet import models
    from keras_retinanet.models.precision import set_precision

    model = models.backbone(case.network).retinanet(num_classes=networks.CLASSES, freeze_bn=True)
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization) and layer.scale:
            layer.gamma.assign(SCALE * layer.gamma)
    set_precision(model, case.precision)
    return model


def memory(tf) -> float:
    """Return the most memory of the GPU that was in use, else of this process, in MB."""
    if not tf.config.list_physical_devices("GPU"):
        return peak_memory()
    return tf.config.experimental.get_memory_info("GPU:0")["peak"] / 2**20


def step(case) -> dict:
    """Measure a training step of this package, as `retinanet-train` does it by default."""
    tf = start()
    import numpy as np

    from keras_retinanet.geometry.anchors import anchors_for_shape
    from keras_retinanet.geometry.targets import anchor_targets_compact
    from keras_retinanet.training import compiling

    model = build(case)
    scales = case.precision == "float16"
    optimizer = compiling.make_optimizer("adam", 1e-5, scale_loss=scales)
    compiling.compile_model(model, optimizer=optimizer, jit_compile=case.xla)
    image = model.info.preprocess_image(networks.image(*case.size))
    images = np.stack([image] * case.batch)
    targets = anchor_targets_compact(
        anchors_for_shape(image.shape),
        images,
        [networks.annotations()] * case.batch,
        networks.CLASSES,
    )
    images, *targets = map(tf.constant, (images, *targets))
    wait = tf.test.experimental.sync_devices
    ms = timed(lambda: model.train_on_batch(images, targets), wait, case.steps)
    return {"ms": ms, "MB": memory(tf)}


def inference(case) -> dict:
    """Measure the time from an image to its detections with this package."""
    tf = start()
    from dataclasses import replace

    from keras_retinanet import models
    from keras_retinanet.detection.detector import Detector
    from keras_retinanet.models.folding import fold_batch_norm

    model = build(case)
    height, width = case.size
    sides = {"image_min_side": min(case.size), "image_max_side": max(case.size)}
    models.set_info(model, replace(model.info, **sides))
    picture = networks.image(height, width)
    networks.find_some(model, model.info.preprocess_image(picture)[None])
    detector = Detector(fold_batch_norm(models.convert_model(model)))
    wait = tf.test.experimental.sync_devices
    ms = timed(lambda: detector.detect([picture], max_detections=None), wait, case.steps)
    return {"ms": ms, "MB": memory(tf)}


def pipeline(case, options) -> dict:
    """Measure the time that the pipeline takes for an image, without a GPU."""
    start()
    from pipeline import data, images_a_second

    from keras_retinanet.augmentation.settings import FLIP_ONLY

    generator = data(options, **FLIP_ONLY.generator_arguments())
    rates = [images_a_second(generator, case.batch) for _ in range(BLOCKS)]
    return {"ms": 1e3 / statistics.median(rates), "MB": peak_memory()}


def device(case) -> dict:
    """Return a line about what TensorFlow computes on."""
    tf = start()
    build = tf.sysconfig.get_build_info()
    cuda = f"CUDA {build.get('cuda_version')}, cuDNN {build.get('cudnn_version')}"
    gpus = tf.config.list_physical_devices("GPU")
    names = [tf.config.experimental.get_device_details(gpu).get("device_name") for gpu in gpus]
    return {"device": f"TensorFlow {tf.__version__} ({cuda}) on {names[0] if names else 'the CPU'}"}


def torch_device(case) -> dict:
    """Return a line about what torchvision computes on."""
    import torch
    import torchvision

    name = torch.cuda.get_device_name() if torch.cuda.is_available() else "the CPU"
    return {"device": f"torchvision {torchvision.__version__}, torch {torch.__version__} on {name}"}


def torch_model(case):
    """Return torchvision's model on its device, with what this package's has: all layers train."""
    import os

    import torch
    from torchvision.models.detection import RetinaNet
    from torchvision.models.detection.backbone_utils import resnet_fpn_backbone
    from torchvision.ops import FrozenBatchNorm2d
    from torchvision.ops.feature_pyramid_network import LastLevelP6P7

    torch.set_num_threads(os.cpu_count())
    torch.backends.cudnn.benchmark = True  # kernels are chosen by their time, as in TensorFlow
    backbone = resnet_fpn_backbone(
        backbone_name=case.network,
        weights=None,
        norm_layer=FrozenBatchNorm2d,
        trainable_layers=5,
        returned_layers=[2, 3, 4],
        extra_blocks=LastLevelP6P7(256, 256),
    )
    for module in backbone.modules():
        if isinstance(module, FrozenBatchNorm2d):
            module.weight.fill_(SCALE)
    sides = {"min_size": min(case.size), "max_size": max(case.size)}
    model = RetinaNet(backbone, networks.CLASSES, detections_per_img=300, **sides)
    return model.to("cuda" if torch.cuda.is_available() else "cpu")


def torch_tools(case):
    """Return a context for a precision, a function that waits, and one that returns memory."""
    import torch

    has_gpu = torch.cuda.is_available()
    kind = "cuda" if has_gpu else "cpu"
    mixed = case.precision != "float32"
    dtype = getattr(torch, case.precision) if mixed else None

    def memory():
        return torch.cuda.max_memory_allocated() / 2**20 if has_gpu else peak_memory()

    wait = torch.cuda.synchronize if has_gpu else lambda: None
    return lambda: torch.autocast(kind, dtype=dtype, enabled=mixed), wait, memory


def torch_step(case) -> dict:
    """Measure a training step of torchvision, which includes its targets."""
    import torch

    model = torch_model(case).train()
    place = next(model.parameters()).device
    precision, wait, memory = torch_tools(case)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-5)
    scaler = torch.amp.GradScaler(place.type, enabled=case.precision == "float16")
    images = [networks.torch_image(networks.image(*case.size)).to(place)] * case.batch
    objects = networks.annotations()
    target = {
        "boxes": torch.from_numpy(objects["bboxes"]).to(place),
        "labels": torch.from_numpy(objects["labels"]).to(place),
    }

    def call():
        optimizer.zero_grad()
        with precision():
            loss = sum(model(images, [target] * case.batch).values())
        scaler.scale(loss).backward()
        scaler.step(optimizer)
        scaler.update()

    return {"ms": timed(call, wait, case.steps), "MB": memory()}


def torch_inference(case) -> dict:
    """Measure the time from an image to its detections with torchvision."""
    import torch

    model = torch_model(case).eval()
    place = next(model.parameters()).device
    precision, wait, memory = torch_tools(case)
    picture = networks.image(*case.size)
    networks.find_some_torch(model, networks.torch_image(picture).to(place))

    def call():
        with torch.inference_mode(), precision():
            (found,) = model([networks.torch_image(picture).to(place)])
            return found["boxes"].cpu()

    return {"ms": timed(call, wait, case.steps), "MB": memory()}
