"""The imports that public programs make of keras-retinanet; shared/compat says where they are from.

Each line of `data/imports.txt` works, or raises an ImportError that says what to write instead.
"""

import re
from pathlib import Path

import pytest

LINES = (Path(__file__).parent / "data" / "imports.txt").read_text().splitlines()
# Python's own message for an absent name, which helps nobody.
UNHELPFUL = re.compile(r"^(cannot import name|No module named)")


@pytest.mark.parametrize("line", LINES)
def test_import(line):
    try:
        exec(line, {})
    except ImportError as error:
        assert not UNHELPFUL.match(str(error)), str(error)
        assert re.search(r"\b(use|write|call|instead)\b", str(error)), str(error)


def test_the_star_import_of_eval_brings_its_modules_along():
    names: dict = {}
    exec("from keras_retinanet.utils.eval import *", names)
    # Of what keras-retinanet 1.0.0 brought, only progressbar is not a dependency any more.
    expected = {"compute_overlap", "cv2", "draw_annotations", "draw_detections", "evaluate"}
    assert set(names) - {"__builtins__"} == expected | {"keras", "np", "os", "time"}
