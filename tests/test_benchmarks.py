"""The parts of benchmarks that compute something: what gpu.py measures first, and memory."""

import importlib
import re
from pathlib import Path

import keras
import pytest

ROOT = Path(__file__).parents[1]
OUT_OF_MEMORY = {"problem": "out of memory"}


@pytest.fixture
def benchmark(monkeypatch):
    """Return a function that imports a script of benchmarks/ by its name."""
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    return importlib.import_module


def test_gpu_measures_first_what_stands_first_in_the_options(benchmark):
    gpu = benchmark("gpu")
    choices = ["--networks", "a", "b", "--batches", "8", "1", "--precisions", "float32"]
    cases = gpu.plan(gpu.parse([*choices, "--data", "/data", "--threads", "3"]))
    assert [" ".join(case.cells()) for case in cases] == [
        "pipeline, 3 threads - - - -",
        "training step a 8 float32 no",
        "inference a 1 float32 no",
        "training step a 8 float32 yes",
        "training step a 1 float32 no",
        "training step b 8 float32 no",
        "inference b 1 float32 no",
        "training step a 1 float32 yes",
        "training step b 8 float32 yes",
        "training step b 1 float32 no",
        "training step b 1 float32 yes",
    ]


def test_gpu_rows(benchmark):
    gpu = benchmark("gpu")
    step = gpu.Case("training step", "resnet50", 8, "float16")
    ours, theirs = {"ms": 400.0, "MB": 25300.4}, {"problem": "out of memory"}
    columns = gpu.head().splitlines()[0].count("|")
    row = gpu.row(step, {"this": ours, "torchvision": theirs})
    assert row.count("|") == columns
    assert row == (
        "| training step | resnet50 | 8 | float16 | no | 400 | 20 | 25300 | out of memory | - | - |"
    )
    pipeline = gpu.row(gpu.Case("pipeline", batch=4), {"this": {"ms": 5.0, "MB": 700.0}})
    assert pipeline == "| pipeline, 4 threads | - | - | - | - | 5 | 200 | 700 | - | - | - |"


@pytest.mark.parametrize(
    ("code", "output", "errors", "expected"),
    [
        (0, 'warning\n{"ms": 2.5, "MB": 7}\n', "OOM in a warning", {"ms": 2.5, "MB": 7}),
        (1, "", "... ResourceExhaustedError: OOM when allocating tensor", OUT_OF_MEMORY),
        (1, "", "RESOURCE_EXHAUSTED: Out of memory while trying to allocate", OUT_OF_MEMORY),
        (1, "", "torch.OutOfMemoryError: CUDA out of memory. Tried to", OUT_OF_MEMORY),
        (-9, "", "", OUT_OF_MEMORY),
        (1, "", "Traceback\nValueError: a | b", {"problem": "failed: ValueError: a / b"}),
        (-11, "", "", {"problem": "failed: exit code -11"}),
    ],
)
def test_gpu_says_why_there_is_no_figure(benchmark, code, output, errors, expected):
    assert benchmark("gpu").result(code, output, errors) == expected


@pytest.mark.parametrize("frozen", [True, False])
def test_memory_of_a_small_network(benchmark, frozen):
    """Worked out by hand: which tensors the gradients need, and how large they are."""
    memory = benchmark("memory_estimate")
    inputs = keras.Input((8, 8, 3))
    x = keras.layers.ZeroPadding2D(1)(inputs)  # 10 x 10 x 3, input of a convolution
    x = keras.layers.Conv2D(4, 3)(x)  # 8 x 8 x 4, input of the normalisation
    x = keras.layers.BatchNormalization(trainable=not frozen)(x)
    x = keras.layers.Activation("relu")(x)  # 8 x 8 x 4
    x = keras.layers.MaxPooling2D(2)(x)  # 4 x 4 x 4
    head_input = keras.Input((None, None, 4))
    y = keras.layers.Conv2D(5, 3, padding="same")(head_input)  # 4 x 4 x 5
    y = keras.layers.Conv2D(2, 1, activation="relu")(y)  # 4 x 4 x 2
    model = keras.Model(inputs, keras.Model(head_input, y)(x))
    kept = {}
    for layer, before, after in memory.calls(model):
        kept |= {id(tensor): tensor for tensor in memory.kept(layer, before, after)}
    numbers = [10 * 10 * 3, 8 * 8 * 4, 4 * 4 * 4, 4 * 4 * 5, 4 * 4 * 2]
    numbers += [] if frozen else [8 * 8 * 4]
    assert sum(map(memory.size_of, kept.values())) == 4 * sum(numbers)


def test_memory_in_the_documentation_is_the_estimate(benchmark):
    memory = benchmark("memory_estimate")
    text = (ROOT / "docs" / "coco.md").read_text()
    (row,) = re.findall(r"^\| `resnet50` \| bfloat16 \| (.*) \|$", text, re.MULTILINE)
    found = memory.estimate("resnet50", 800, 1344, "bfloat16")
    assert row == memory.figures(found, [1, 2, 4, 8, 16])
