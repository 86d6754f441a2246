"""A data set in memory and a model, for the callbacks that evaluate."""

import pytest

from tests.fakes import MemoryGenerator, picture, rectangle_finder, truth


@pytest.fixture
def generator():
    """Three cats, of which two are found, and a dog that is."""
    boxes = [(2, 2, 20, 20), (5, 5, 30, 25), (1, 8, 12, 30), (4, 4, 28, 28)]
    images = [picture(32, 32, box, label=i == 3) for i, box in enumerate(boxes)]
    images[2] = picture(32, 32)
    return MemoryGenerator(images, [truth((*box, i == 3)) for i, box in enumerate(boxes)])


@pytest.fixture(scope="module")
def finder():
    return rectangle_finder()
