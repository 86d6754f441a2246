"""The parts of benchmarks that compute something: what gpu.py measures first, and memory."""

import csv
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


def test_drawn_sets_are_the_same_again(benchmark, tmp_path, monkeypatch):
    drawn_sets = benchmark("drawn_sets")
    monkeypatch.setattr(drawn_sets, "PICTURES", {"tiny": (3, 2), "classes": (3, 2)})
    for name in drawn_sets.NAMES:
        for folder in ("a", "b"):
            drawn_sets.draw(name, tmp_path / folder / name)
        for file in ("train.csv", "val.csv", "classes.csv"):
            texts = [(tmp_path / folder / name / file).read_bytes() for folder in ("a", "b")]
            assert texts[0] == texts[1]
        rows = list(csv.reader((tmp_path / "a" / name / "train.csv").read_text().splitlines()))
        assert {row[0] for row in rows} == {f"images/train00{i}.png" for i in range(3)}
        sides = drawn_sets.EXTENT[name]
        for path, *box, label in rows:
            assert (tmp_path / "a" / name / path).exists()
            assert label in drawn_sets.KINDS[name]
            x1, y1, x2, y2 = map(int, box)
            assert 0 <= x1 < x2 <= drawn_sets.WIDTH
            assert 0 <= y1 < y2 <= drawn_sets.HEIGHT
            # Turned by 8 degrees, and stretched by a class and by 1.15.
            assert max(x2 - x1, y2 - y1) < 2 * sides[1]


def test_a_run_on_small_sets_is_read_and_not_done_again(benchmark, tmp_path, monkeypatch, capsys):
    small_sets = benchmark("small_sets")
    report = "".join(
        f" Average Precision  (AP) @[ IoU={iou} | area={area:>6} | maxDets=100 ] = {value}\n"
        for iou, area, value in (
            *(("0.50:0.95", "all", 0.1), ("0.50     ", "all", 0.3), ("0.75     ", "all", 0.2)),
            *(("0.50:0.95", "small", 0.7), ("0.50:0.95", "all", 0.25)),
        )
    )
    done = []

    def run_on(cores, command, run):
        done.append(command)
        run.mkdir()
        (run / "log.txt").write_text(report)
        (run / "best.keras").touch()

    monkeypatch.setattr(small_sets, "run_on", run_on)
    given = ["x", "--data", "photos", "--weights", "w.h5", "--output", str(tmp_path / "out")]
    given += ["--sets", "bccd", "raccoon", "--seeds", "3", "4", "--name", "l1", "--", "--box-loss"]
    for _ in range(2):
        monkeypatch.setattr("sys.argv", [*given, "l1"])
        small_sets.main()
    assert len(done) == 4  # of eight
    assert all(command.count("l1") == 1 for command in done)
    assert not list(tmp_path.glob("out/*/*.keras"))
    cell = "**25.0** 30.0 20.0 (25.0 to 25.0; 2)"
    assert f"| 12 | 240x320 | l1 | {cell} | {cell} |  |  |  |  |" in capsys.readouterr().out
