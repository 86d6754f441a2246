"""Where pictures are written."""

import os
import time

import pytest

from keras_retinanet.reports.pictures import picture_paths


def targets(paths, flatten=False, label="_debug"):
    found = picture_paths(paths, "out", label=label, flatten=flatten)
    return [path.replace(os.sep, "/") for path in found]


def test_folders_are_kept_below_the_output_folder():
    assert targets(["a/b.jpg", "/c/d.e.png", "../f/g.jpg", "h.jpg"]) == [
        "out/a/b_debug.jpg",
        "out/c/d.e_debug.png",
        "out/f/g_debug.jpg",
        "out/h_debug.jpg",
    ]


def test_folders_are_dropped_on_request_and_equal_names_get_numbers():
    assert targets(["a/b.jpg", "/c/b.jpg", "b.jpg", "b.png"], flatten=True) == [
        "out/b_debug.jpg",
        "out/b_debug-2.jpg",
        "out/b_debug-3.jpg",
        "out/b_debug.png",
    ]


def test_formats_that_cannot_be_written_become_png():
    assert targets(["a.xyz"]) == ["out/a_debug.xyz.png"]
    paths = ["z/scan.gif", "z/grey.pgm", "z/noextension"]
    assert targets(paths, flatten=True, label="") == [
        "out/scan.gif.png",
        "out/grey.pgm.png",
        "out/noextension.png",
    ]


def test_names_that_differ_in_case_alone_get_numbers():
    found = targets(["x/a.jpg", "y/a.jpg", "y/A.JPG"], flatten=True, label="")
    assert found == ["out/a.jpg", "out/a-2.jpg", "out/A-3.JPG"]


def test_numbers_that_names_have_already_are_left_out():
    paths = ["v/a-3.jpg", "w/a.jpg", "x/a.jpg", "y/a.jpg", "z/a.jpg", "z/a-2.jpg"]
    found = targets(paths, flatten=True, label="")
    names = ["a-3", "a", "a-2", "a-4", "a-5", "a-2-2"]
    assert found == [f"out/{name}.jpg" for name in names]


def test_many_equal_names_take_as_long_as_others():
    def seconds(paths):
        start = time.perf_counter()
        assert len(set(targets(paths, flatten=True))) == len(paths)
        return time.perf_counter() - start

    different = seconds([f"{i}/{i}.png" for i in range(3000)])
    assert seconds([f"{i}/image.png" for i in range(3000)]) < 10 * different


def test_an_image_is_never_replaced():
    message = r"picture of a\.jpg would replace an image, out.a_debug\.jpg"
    with pytest.raises(ValueError, match=message):
        targets(["a.jpg", "out/a_debug.jpg"], flatten=True)


def test_names_below_the_output_folder():
    paths, names = ["/x/a/1.jpg", "/y/a/1.jpg", "/y/2.gif"], ["a/1.jpg", "a/1.jpg", "2.gif"]
    found = [path.replace(os.sep, "/") for path in picture_paths(paths, "out", names=names)]
    assert found == ["out/a/1.jpg", "out/a/1-2.jpg", "out/2.gif.png"]
