"""The example notebook runs, with a small model and photos made here."""

import re
from pathlib import Path

import nbformat
import numpy as np
import pytest
from nbclient import NotebookClient

from keras_retinanet import models
from keras_retinanet.models.info import ModelInfo
from keras_retinanet.preprocessing.shapes import ShapesGenerator, export_set
from keras_retinanet.preprocessing.shapes.scene import CLASS_NAMES

NOTEBOOK = Path(__file__).parents[1] / "examples" / "ResNet50RetinaNet.ipynb"


@pytest.fixture
def notebook():
    return nbformat.read(NOTEBOOK, as_version=4)


def test_notebook_is_stored_valid_and_without_outputs(notebook):
    nbformat.validate(notebook)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert all(not cell.outputs and cell.execution_count is None for cell in code)
    assert max(len(cell.source.splitlines()) for cell in code) <= 20


def test_published_model_is_the_default_and_has_cocos_names(notebook):
    source = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "code")
    assert "releases/download/0.5.1/resnet50_coco_best_v2.1.0.h5" in re.sub(r'"\s*"', "", source)
    names = re.search(r'COCO_NAMES = """(.*?)"""', source, re.DOTALL).group(1).split(",")
    names = [name.strip() for name in names]
    assert len(set(names)) == 80
    # The places these have in COCO's list of categories, counted from 0.
    assert (names[0], names[16], names[52], names[79]) == ("person", "dog", "hot dog", "toothbrush")


# Keras 3.15 turns variables into arrays the old way when it saves a model.
@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
def test_notebook_runs(notebook, tmp_path, monkeypatch):
    export_set(ShapesGenerator("val", size=2), str(tmp_path))
    training = models.backbone("mobilenet_v2").retinanet(num_classes=len(CLASS_NAMES))
    details = ModelInfo(
        "mobilenet_v2",
        len(CLASS_NAMES),
        CLASS_NAMES,
        normalisation="tf_rgb",
        image_min_side=64,
        image_max_side=96,
    )
    models.set_info(training, details)
    _raise_scores(training)
    models.save_model(training, tmp_path / "small.keras")
    monkeypatch.setenv("RETINANET_MODEL", str(tmp_path / "small.keras"))
    monkeypatch.setenv("RETINANET_PHOTOS", str(tmp_path / "images" / "val2017"))
    monkeypatch.setenv("PYTHONPATH", str(NOTEBOOK.parents[1]))
    client = NotebookClient(notebook, timeout=120, resources={"metadata": {"path": str(tmp_path)}})
    client.execute()
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    printed = "".join(output.text for output in outputs if output.output_type == "stream")
    assert f"small.keras: mobilenet_v2, {len(CLASS_NAMES)} classes" in printed
    assert re.findall(r"(\d{12}\.png): \d+\.\d\d s", printed) == [
        "000000000000.png",
        "000000000001.png",
    ]
    figures = [output for output in outputs if "image/png" in output.get("data", {})]
    assert len(figures) == 2


def _raise_scores(model):
    """Let the untrained classifier score some anchors above the threshold of 0.5."""
    head = model.get_layer("classification_submodel")
    layer = head.get_layer("pyramid_classification")
    kernel, bias = layer.get_weights()
    layer.set_weights([kernel, np.zeros_like(bias) + 0.5])
