"""The report on a data set as text."""

from keras_retinanet.annotations.repetitions import Repetition
from keras_retinanet.geometry.anchors import AnchorParameters
from keras_retinanet.reports import dataset_text
from keras_retinanet.reports.dataset import Count, DatasetReport, Quartiles


def report(**changes):
    small = AnchorParameters([8], [8], [1], [1])
    fields = {
        **{"images": 30, "images_without_boxes": 2, "unreadable": {}, "dropped": {}},
        "total": Count(4, 1),
        "classes": {"cat [x]": Count(3, 0), "dog": Count(1, 1), "cow": Count(0, 0)},
        "original_size": Quartiles(5, 6, 7.25, 8, 99),
        "network_size": Quartiles(10, 12, 14.5, 16, 198),
        "shape": Quartiles(0.5, 0.75, 1, 1.25, 2),
        **{"anchors": AnchorParameters.default, "fitted_anchors": small},
    }
    return DatasetReport(**{**fields, **changes})


def rows(text):
    return [line.replace("│", " ").split() for line in text.splitlines()]


def test_the_report_as_text(capsys):
    dataset_text.print_report(report())
    out = capsys.readouterr().out
    assert "Images: 30 (unreadable: 0, without boxes: 2)" in out
    lines = rows(out)
    assert ["cat", "[x]", "3", "0", "0.0%"] in lines
    assert ["dog", "1", "1", "100.0%"] in lines
    assert ["all", "4", "1", "25.0%"] in lines
    assert "Classes without boxes (1): cow" in out
    assert ["resized", "for", "the", "network", "10.0", "12.0", "14.5", "16.0", "198.0"] in lines
    assert ["height", "over", "width", "0.50", "0.75", "1.00", "1.25", "2.00"] in lines
    assert "Anchor sizes: 32 64 128 256 512\n" in out
    assert "  8 would match more boxes" in out
    assert out.endswith("Nothing is broken.\n")


def test_a_set_without_boxes_as_text(capsys):
    nothing = {"original_size": None, "network_size": None, "shape": None}
    dataset_text.print_report(report(total=Count(0, 0), classes={"cow": Count(0, 0)}, **nothing))
    assert ["all", "0", "0", "-"] in rows(capsys.readouterr().out)


def test_long_lists_are_cut_in_the_text(capsys):
    broken = {f"{i}.jpg": f"{i}.jpg: no image" for i in range(25)}
    dataset_text.print_report(report(unreadable=broken, dropped={"x.jpg": 3}))
    out = capsys.readouterr().out
    assert "Unreadable images (25):\n  0.jpg: no image\n" in out
    assert "19.jpg" in out and "20.jpg" not in out
    assert "  and 5 more (--json names all)\n" in out
    assert "Images with boxes dropped: no area, or not fully inside (1):\n  x.jpg: 3\n" in out
    assert "Nothing is broken." not in out


def test_what_else_is_found_as_text(capsys):
    dataset_text.print_report(
        report(
            clipped={"a.jpg": 2},
            other_size={"b.jpg": "60 x 40 pixels, annotated as 40 x 60"},
            rotated={"c.jpg": 6},
            repeated_boxes=Repetition(3, "d.jpg: box 1, 2, 3, 4 of class 'cat'"),
            repeated_images=Repetition(1, "./d.jpg is d.jpg"),
            no_boxes="the annotations have none",
        )
    )
    out = capsys.readouterr().out
    assert "Images with boxes clipped: outside by up to a pixel (1):\n  a.jpg: 2\n" in out
    assert "Images of another size than annotated (1):\n  b.jpg: 60 x 40 pixels, ann" in out
    assert "Images with an EXIF orientation, which is ignored: " in out
    assert "(1):\n  c.jpg: 6\n" in out
    assert "Boxes listed again, which count again: 3, the first: d.jpg: box 1, 2, 3, 4 of" in out
    assert "Images listed again, which count again: 1, the first: ./d.jpg is d.jpg\n" in out
    assert "There is no box at all: the annotations have none\n" in out
    assert "Nothing is broken." not in out


def test_clipped_boxes_and_repetitions_are_not_broken(capsys):
    dataset_text.print_report(report(clipped={"a.jpg": 2}, repeated_images=Repetition(1, "a.jpg")))
    assert capsys.readouterr().out.endswith("Nothing is broken.\n")


def test_names_that_are_no_text_are_printed(capsys):
    dataset_text.print_report(report(dropped={"\udcff.jpg": 1}, classes={"\ud800": Count(0, 0)}))
    assert "\\udcff.jpg: 1" in capsys.readouterr().out
