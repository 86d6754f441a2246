"""Time from an image to its detections in each runtime: ResNet-50, 80 classes, 800x1088.

The files are written to a folder once, and stay there for the next time. Each runtime has a process
of its own; they take turns, so that whatever else the machine does affects all of them equally.
"""

import argparse
import importlib
import json
import os
import sys
from pathlib import Path

import common
import detection_networks as networks

# Name -> format of `export.convert.FORMATS` or of Keras, precision, file.
CASES = {
    "Keras": ("keras", "float32", "float32.keras"),
    "Keras, bfloat16": ("keras", "bfloat16", "bfloat16.keras"),
    "SavedModel": ("saved-model", "float32", "saved-model"),
    "ONNX Runtime": ("onnx", "float32", "float32.onnx"),
    "ONNX Runtime, int8": ("onnx", "int8", "int8.onnx"),
    "OpenVINO": ("openvino", "float32", "float32.xml"),
    "OpenVINO, bfloat16": ("openvino", "bfloat16", "bfloat16.xml"),
    "OpenVINO, int8": ("openvino", "int8", "int8.xml"),
    "LiteRT": ("litert", "float32", "float32.tflite"),
    "LiteRT, int8": ("litert", "int8", "int8.tflite"),
}
CALIBRATED = 8  # images; the speed of whole numbers does not depend on them


def parse():
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("folder", type=Path, help="where the files are written, and kept")
    options.add_argument("--backbone", default="resnet50")
    options.add_argument("--size", type=int, nargs=2, default=[800, 1088], metavar="PIXELS")
    options.add_argument("--cases", nargs="*", default=list(CASES), choices=list(CASES))
    options.add_argument("--rounds", type=int, default=15)
    options.add_argument("--torchvision", metavar="PYTHON", help="interpreter with torchvision")
    options.add_argument("--worker", help=argparse.SUPPRESS)
    parsed = options.parse_args()
    height, width = parsed.size
    parsed.folder = parsed.folder / f"{parsed.backbone}-{height}x{width}"
    return parsed


def write(options, case):
    """Write the file of a case; this process runs TensorFlow, and ends after it."""
    kind, precision, name = CASES[case]
    from keras_retinanet import models
    from keras_retinanet.detection.formats import format_named
    from keras_retinanet.export.network import build
    from keras_retinanet.models.folding import fold_batch_norm
    from keras_retinanet.models.precision import set_precision

    height, width = options.size
    snapshot = options.folder / "snapshot.keras"
    if not snapshot.exists():
        model = models.backbone(options.backbone).retinanet(num_classes=networks.CLASSES)
        picture = networks.image(height, width)
        networks.find_some(model, model.info.preprocess_image(picture)[None])
        models.save_model(model, snapshot)
    model = models.load_model(snapshot)
    if kind == "keras":
        set_precision(model, precision)
        models.save_model(fold_batch_norm(models.convert_model(model)), options.folder / name)
        return
    one_image = format_named(kind).one_image
    size = (height, width) if one_image else None
    network = build(model, precision=precision, input_size=size, one_image=one_image)
    batches = [networks.image(height, width)[None] for _ in range(CALIBRATED)]
    module = importlib.import_module(f"keras_retinanet.export.{kind.replace('-', '_')}")
    module.write(network, str(options.folder / name), batches if precision == "int8" else [])


def measures(options, case):
    """Return the measures of a case, in a process that does nothing else."""
    height, width = options.size
    picture = networks.image(height, width)
    if case == common.TORCHVISION:
        import torch

        sides = {"min_size": min(height, width), "max_size": max(height, width)}
        model = networks.torchvision_model(detections_per_img=300, **sides).eval()
        networks.find_some_torch(model, networks.torch_image(picture))

        def detect():
            with torch.inference_mode():
                return model([networks.torch_image(picture)])

    else:
        kind, _, name = CASES[case]
        if kind in ("keras", "saved-model"):
            from keras_retinanet.system.devices import start_tensorflow

            start_tensorflow(weights_are_frozen=True)
        from keras_retinanet import Detector
        from keras_retinanet.images import resize_image

        detector = Detector.load(options.folder / name)
        # As large as it is: the sides of the snapshot are those of its training.
        detector._resize = lambda image: resize_image(image, min(height, width), max(height, width))

        def detect():
            return detector.detect([picture], max_detections=300)

    return {"ms": lambda: common.milliseconds(detect), "MB": common.peak_memory}


def bytes_of(path) -> int:
    """Return the size of a file, of a folder, or of an .xml with its .bin."""
    paths = list(path.rglob("*")) if path.is_dir() else list(path.parent.glob(f"{path.stem}.*"))
    endings = (path.suffix, ".bin") if path.suffix == ".xml" else (path.suffix,)
    return sum(one.stat().st_size for one in paths if path.is_dir() or one.suffix in endings)


def main(options):
    if options.worker and options.worker.startswith("write "):
        return write(options, options.worker.removeprefix("write "))
    if options.worker:
        return common.serve(lambda: measures(options, options.worker))
    options.folder.mkdir(parents=True, exist_ok=True)
    for case in options.cases:
        if not (options.folder / CASES[case][2]).exists():
            print(f"writing {case}", file=sys.stderr)
            process = common.start(f"write {case}", sys.executable, one_thread=False)
            process.communicate()
            if process.returncode:
                sys.exit(f"{case} cannot be written")
    workers = {case: common.start(case, sys.executable, one_thread=False) for case in options.cases}
    if options.torchvision:
        workers[common.TORCHVISION] = common.start(
            common.TORCHVISION, options.torchvision, one_thread=False
        )
    found = {case: [] for case in workers}
    for number in range(options.rounds + 1):
        for case, worker in workers.items():
            values = common.one_round(worker)
            if number:  # the first round fills caches
                found[case].append(values)
    for worker in workers.values():
        worker.stdin.close()
        worker.wait()
    print_table(options, {case: common.medians(rounds) for case, rounds in found.items()})


def print_table(options, found):
    print(common.machine(), end="\n\n")
    theirs = found.get(common.TORCHVISION, {}).get("ms")
    print("| | ms | of torchvision's time | peak memory, MB | file, MB |\n|---|---|---|---|---|")
    for case, values in found.items():
        ratio = f"{values['ms'] / theirs:.2f}" if theirs else "-"
        file = CASES.get(case)
        size = f"{bytes_of(options.folder / file[2]) / 1e6:.1f}" if file else "-"
        print(f"| {case} | {values['ms']:.0f} | {ratio} | {values['MB']:.0f} | {size} |")
    path = options.folder / "runtimes.json"
    path.write_text(json.dumps(found, indent=1) + os.linesep)


if __name__ == "__main__":
    main(parse())
