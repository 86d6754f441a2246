"""The structure of the package: imports point one way, and every file has its test."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "keras_retinanet"

# From top to bottom; a room imports from its own line and those below it.
ROOMS = """
bin utils backend
training
callbacks
reports
evaluation metrics
export
detection
models
layers
preprocessing
batches
config
model_info
zoo
annotations
augmentation
geometry
images drawing losses initializers optimizers backbone_table
system
"""
LEVEL = {room: i for i, line in enumerate(ROOMS.strip().splitlines()) for room in line.split()}

# Files whose tests have another name: CONTRIBUTING.md says where they are.
TESTED_ELSEWHERE = {
    "metrics.py": "evaluation/test_metrics.py",
    "models/densenet.py": "models/test_backbones.py",
    "models/effnet.py": "models/test_backbones.py",
    "models/mobilenet.py": "models/test_backbones.py",
    "models/vgg.py": "models/test_backbones.py",
    "models/blocks.py": "models/test_senet.py",
    "models/freeze.py": "training/test_freezing.py",
    "models/normalization.py": "models/test_backbones.py",
    "layers/slices.py": "models/test_old_backbones.py",
    "layers/tensors.py": "backend/test_backend.py",
}
# Names of types, for the type checker; numbers, tested where they are used.
NOTHING_TO_TEST = ("system/types.py", "system/limits.py")
# Imports alone.
RE_EXPORTS = ("utils", "backend")

SOURCES = sorted(
    path.relative_to(PACKAGE) for path in PACKAGE.rglob("*.py") if path.name != "__init__.py"
)


def imported_rooms(path):
    """Yield line and room of each import from the package, also of those inside functions."""
    for node in ast.walk(ast.parse((PACKAGE / path).read_text())):
        if isinstance(node, ast.Import):
            names = [alias.name.split(".") for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            names = [[*node.module.split("."), alias.name] for alias in node.names]
        else:
            continue
        for parts in names:
            if parts[0] == "keras_retinanet" and len(parts) > 1 and parts[1] in LEVEL:
                yield node.lineno, parts[1]


@pytest.mark.parametrize("path", SOURCES, ids=str)
def test_imports_point_downwards(path):
    room = path.parts[0].removesuffix(".py")
    wrong = [
        f"{path}:{line} imports {other}"
        for line, other in imported_rooms(path)
        if other != room and (LEVEL[other] < LEVEL[room] or LEVEL[other] == LEVEL["bin"])
    ]
    assert not wrong


def test_every_room_is_known_and_the_root_stays_small():
    rooms = {path.parts[0].removesuffix(".py") for path in SOURCES}
    assert rooms == set(LEVEL)
    assert len([path for path in SOURCES if len(path.parts) == 1]) <= 8


@pytest.mark.parametrize(
    "path",
    [
        path
        for path in SOURCES
        if path.parts[0] not in RE_EXPORTS and path.as_posix() not in NOTHING_TO_TEST
    ],
    ids=str,
)
def test_every_file_has_its_test(path):
    default = path.with_name(f"test_{path.name}")
    test = Path(TESTED_ELSEWHERE.get(path.as_posix(), default))
    assert (ROOT / "tests" / test).is_file()
    if path.as_posix() in TESTED_ELSEWHERE:
        assert f"`{path.as_posix()}`" in (ROOT / "CONTRIBUTING.md").read_text()
