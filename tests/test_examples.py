"""The example notebook runs, with a small model and photos made here."""

import re
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from keras_retinanet import models
from keras_retinanet.detection.photos import load_detector
from keras_retinanet.images import read_image_bgr
from keras_retinanet.models.info import ModelInfo
from keras_retinanet.preprocessing.shapes import ShapesGenerator, export_set
from keras_retinanet.zoo.class_names import COCO
from keras_retinanet.zoo.table import is_name

NOTEBOOK = Path(__file__).parents[1] / "examples" / "ResNet50RetinaNet.ipynb"


@pytest.fixture
def notebook():
    return nbformat.read(NOTEBOOK, as_version=4)


def test_notebook_is_stored_valid_and_without_outputs(notebook):
    nbformat.validate(notebook)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert all(not cell.outputs and cell.execution_count is None for cell in code)
    assert max(len(cell.source.splitlines()) for cell in code) <= 20


def test_the_default_is_a_published_detector(notebook):
    source = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "code")
    (name,) = re.findall(r'environ\.get\("RETINANET_MODEL"\) or "(.*?)"', source)
    assert is_name(name)


# Keras 3.15 turns variables into arrays the old way when it saves a model.
@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
def test_notebook_runs(notebook, tmp_path, monkeypatch):
    """An old snapshot has COCO's 80 outputs without names; this one is resized by another rule."""
    export_set(ShapesGenerator("val", size=2), str(tmp_path))
    training = models.backbone("mobilenet_v2").retinanet(num_classes=len(COCO))
    details = ModelInfo(
        "mobilenet_v2",
        len(COCO),
        normalisation="tf_rgb",
        image_min_side=64,
        image_max_side=96,
        resize_rule="torchvision",
    )
    models.set_info(training, details)
    _score_one_class(training, COCO.index("zebra"))
    models.save_model(training, tmp_path / "small.keras")
    monkeypatch.setenv("RETINANET_MODEL", str(tmp_path / "small.keras"))
    monkeypatch.setenv("RETINANET_PHOTOS", str(tmp_path / "images" / "val2017"))
    monkeypatch.setenv("PYTHONPATH", str(NOTEBOOK.parents[1]))
    client = NotebookClient(notebook, timeout=120, resources={"metadata": {"path": str(tmp_path)}})
    client.execute()
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    printed = "".join(output.text for output in outputs if output.output_type == "stream")
    assert "small.keras: mobilenet_v2, 80 classes" in printed
    assert "the names of COCO's 80 classes are assumed" in printed
    found = re.findall(r"(\d{12}\.png): (\d+) objects, \d+\.\d\d s", printed)
    assert [name for name, _ in found] == ["000000000000.png", "000000000001.png"]
    detector = load_detector(tmp_path / "small.keras")
    for name, count in found:
        image = read_image_bgr(tmp_path / "images" / "val2017" / name)
        assert int(count) == len(detector.detect([image], score_threshold=0.5)[0]) > 0
    figures = [output for output in outputs if "image/png" in output.get("data", {})]
    assert len(figures) == 2


def _score_one_class(model, label):
    """Let the untrained classifier score some anchors above the threshold of 0.5 for one class."""
    head = model.get_layer("classification_submodel")
    layer = head.get_layer("pyramid_classification")
    kernel, bias = layer.get_weights()
    bias = bias.reshape(-1, model.info.num_classes)  # (anchors, classes)
    bias[:, label] = 0
    layer.set_weights([kernel, bias.ravel()])
