"""Evaluation and drawing under the import paths of keras-retinanet 1.0.0."""

import importlib

import pytest

from keras_retinanet import drawing, evaluation


@pytest.mark.parametrize(
    ("path", "home", "names"),
    [
        ("eval", evaluation, ["evaluate"]),
        ("coco_eval", evaluation, ["evaluate_coco"]),
        ("colors", drawing, ["label_color"]),
        (
            "visualization",
            drawing,
            ["draw_box", "draw_boxes", "draw_caption", "draw_detections", "draw_annotations"],
        ),
    ],
)
def test_old_names_are_the_new_functions(path, home, names):
    module = importlib.import_module(f"keras_retinanet.utils.{path}")
    assert [getattr(module, name) for name in names] == [getattr(home, name) for name in names]


def test_the_table_of_80_colours():
    from keras_retinanet.utils.colors import colors

    assert [len(color) for color in colors] == [3] * 80
    assert colors[5] == drawing.label_color(5)
