"""The example notebooks run, with small models and pictures made here."""

import re
from pathlib import Path

import nbformat
import numpy as np
import pytest
from nbclient import NotebookClient

from keras_retinanet import models
from keras_retinanet.config import Config
from keras_retinanet.detection.detector import Detector
from keras_retinanet.images import read_image_bgr
from keras_retinanet.model_info import ModelInfo
from keras_retinanet.preprocessing.shapes import ShapesGenerator, export_set
from keras_retinanet.zoo.class_names import COCO
from keras_retinanet.zoo.table import is_name

NOTEBOOK = Path(__file__).parents[1] / "examples" / "ResNet50RetinaNet.ipynb"
ANALYSIS = NOTEBOOK.with_name("focal_loss_analysis.ipynb")
# Runs before the analysis: a network of three levels, one step of which is computed without a
# graph. To trace the steps of five networks of five levels takes three times as long.
SMALL = """
import functools
from types import MappingProxyType

import keras

from keras_retinanet.config import Config
from keras_retinanet.geometry.anchors import AnchorParameters
from keras_retinanet.training import plan

anchors = AnchorParameters([32, 64, 128], [8, 16, 32], [0.5, 1, 2], [1])
config = Config(anchor_params=anchors, pyramid_levels=(3, 4, 5))
small = {"config": config, "feature_size": 8, "image_min_side": 64, "image_max_side": 96}
plan.SHAPES_SETTINGS = MappingProxyType({**plan.SHAPES_SETTINGS, **small})
keras.Model.compile = functools.partialmethod(keras.Model.compile, run_eagerly=True)
"""
# Runs after the analysis, before its second part is run again with a snapshot.
SAVE = """
models.save_model(model, "small.keras")
os.environ["RETINANET_MODEL"] = "small.keras"
first_examples, trained_model = examples, model
"""
EXPORT = """
assert model is not trained_model
np.savez("arrays.npz", **first_examples, again=examples["positives"], p_t=p_t, **{
    f"curve {gamma:g}": curve for gamma, curve in curves.items()
}, **{f"hardest {gamma:g}": values for gamma, values in hardest.items()})
print("trained", train.cache_info().misses)
"""


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
    with pytest.warns(UserWarning, match="names of COCO's 80 classes are assumed"):
        detector = Detector.load(tmp_path / "small.keras")
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


@pytest.fixture
def analysis():
    return nbformat.read(ANALYSIS, as_version=4)


def test_analysis_is_stored_valid_and_without_outputs(analysis):
    test_notebook_is_stored_valid_and_without_outputs(analysis)


@pytest.fixture(scope="module")
def analysed(tmp_path_factory):
    """The arrays of the analysis after one step on four pictures, what it printed, its figures."""
    folder = tmp_path_factory.mktemp("analysis")
    analysis = nbformat.read(ANALYSIS, as_version=4)
    of_model = [cell for cell in analysis.cells if re.match("snapshot =|@tf.function", cell.source)]
    new = nbformat.v4.new_code_cell
    again = [new(cell.source) for cell in of_model]
    analysis.cells = [new(SMALL), *analysis.cells, new(SAVE), *again, new(EXPORT)]
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("RETINANET_MODEL", raising=False)
        for name, value in (("EPOCHS", "1"), ("STEPS", "1"), ("PICTURES", "4")):
            patch.setenv(f"FOCAL_{name}", value)
        patch.setenv("PYTHONPATH", str(ANALYSIS.parents[1]))
        metadata = {"metadata": {"path": str(folder)}}
        NotebookClient(analysis, timeout=300, resources=metadata).execute()
    assert len(again) == 2
    outputs = [output for cell in analysis.cells for output in cell.get("outputs", [])]
    printed = "".join(output.text for output in outputs if output.output_type == "stream")
    figures = [output for output in outputs if "image/png" in output.get("data", {})]
    with np.load(folder / "arrays.npz") as arrays:
        return {**arrays, "model": np.array(str(folder / "small.keras"))}, printed, figures


def test_analysis_draws_the_paper_s_curves(analysed):
    arrays, printed, figures = analysed
    assert len(figures) == 2
    p_t = arrays["p_t"]
    assert 0 < p_t[0] < 0.01 and 0.99 < p_t[-1] < 1
    for gamma in (0, 0.5, 1, 2, 5):
        expected = -((1 - p_t) ** gamma) * np.log(p_t)
        np.testing.assert_allclose(arrays[f"curve {gamma:g}"], expected, rtol=1e-4)
    assert "p_t 0.9: gamma 2 makes the loss 100 times smaller" in printed


def test_analysis_finds_the_logits_of_all_examples(analysed):
    """They are those of the probabilities that the model returns."""
    arrays, printed, _ = analysed
    positives, negatives = arrays["positives"], arrays["negatives"]
    model = models.load_model(arrays["model"].item())
    info = model.info
    generator = ShapesGenerator(
        "val",
        size=4,
        batch_size=4,
        shuffle_groups=False,
        preprocess_image=info.preprocess_image,
        image_min_side=info.image_min_side,
        image_max_side=info.image_max_side,
        config=Config(anchor_params=info.anchors, pyramid_levels=info.pyramid_levels),
    )
    images, (_, labels) = generator[0]
    _, probabilities = model.predict_on_batch(images)
    present = (labels == [[[1, 2, 3, 4]]]) & (labels != -1)
    absent = (labels != [[[1, 2, 3, 4]]]) & (labels != -1)
    np.testing.assert_allclose(_sigmoid(positives), probabilities[present], atol=1e-5)
    np.testing.assert_allclose(_sigmoid(negatives), 1 - probabilities[absent], atol=1e-5)
    np.testing.assert_allclose(arrays["again"], positives, rtol=1e-3)  # with a snapshot
    assert f"{len(positives):,} positives\n{len(negatives):,} negatives" in printed
    assert len(positives) > 0


@pytest.mark.parametrize("gamma", [0, 0.5, 1, 2])
@pytest.mark.parametrize(
    ("place", "name", "part"), [(0, "positives", 0.2), (1, "negatives", 0.001)]
)
def test_analysis_measures_the_share_of_the_hardest(analysed, gamma, place, name, part):
    arrays, _, _ = analysed
    probability = _sigmoid(arrays[name])
    loss = np.sort(-((1 - probability) ** gamma) * np.log(probability))[::-1]
    expected = loss[: round(part * len(loss))].sum() / loss.sum()
    assert 0 < expected < 1
    assert arrays[f"hardest {gamma:g}"][place] == pytest.approx(expected, rel=1e-3)


def test_analysis_compares_five_losses(analysed):
    _, printed, _ = analysed
    rows = re.findall(r"^(.*\S) +(0\.\d{3}) +(0\.\d{3})$", printed, re.MULTILINE)
    assert [name.split(",")[0] for name, *_ in rows] == ["CE", "balanced CE", "FL", "FL*", "FL*"]
    assert all(float(ap) <= float(ap50) for _, ap, ap50 in rows)
    assert "trained 5" in printed  # the model of the second part is that of the table


def _sigmoid(logits):
    return 1 / (1 + np.exp(-logits.astype("float64")))
