"""drawing: which pixels are painted, and that text stays inside the image."""

import cv2
import numpy as np
import pytest

from keras_retinanet import drawing

GREY = 100


def blank(height=120, width=200):
    return np.full((height, width, 3), GREY, "uint8")


def painted(image):
    """(h, w) True where an image differs from a blank one."""
    return (image != GREY).any(axis=2)


def test_colours_differ_and_stay():
    colours = [drawing.label_color(label) for label in range(80)]
    assert colours == [drawing.label_color(label) for label in range(80)]
    table = np.array(colours, float)
    gaps = np.linalg.norm(table[:, None] - table, axis=2) + 1000 * np.eye(80)
    assert gaps.min() > 15
    assert np.diag(gaps[1:]).min() > 150  # labels that follow each other
    assert table.min() >= 0
    assert table.max() <= 255
    assert colours[0] == [0, 0, 255]  # hue 0, full saturation: red, in BGR


def test_a_negative_label_is_green_with_a_warning():
    with pytest.warns(UserWarning, match="label -1 has no colour"):
        assert drawing.label_color(-1) == [0, 255, 0]


def test_box_paints_its_border_only():
    image = blank()
    drawing.draw_box(image, [20, 30, 60.4, 70.6], (1, 2, 3), thickness=1)
    expected = np.zeros((120, 200), bool)
    expected[30:72, 20:61] = True
    expected[31:71, 21:60] = False
    np.testing.assert_array_equal(painted(image), expected)
    assert (image[expected] == (1, 2, 3)).all()


def test_box_beyond_the_image_is_drawn_on_its_border():
    image = blank()
    drawing.draw_box(image, [-50, 30, 5000, 5000], (1, 2, 3), thickness=1)
    assert painted(image)[119].all()
    assert painted(image)[30:, [0, 199]].all()
    assert not painted(image)[:30].any()


def test_boxes_share_a_colour_and_there_may_be_none():
    image = blank()
    drawing.draw_boxes(image, np.zeros((0, 4)), (1, 2, 3))
    assert not painted(image).any()
    drawing.draw_boxes(image, np.array([[5, 5, 20, 20], [50, 50, 90, 90]]), (1, 2, 3), 1)
    assert (image[5, 5:21] == (1, 2, 3)).all()
    assert (image[50, 50:91] == (1, 2, 3)).all()


def caption_extent(box, caption="cat: 0.95", **size):
    """Rows and columns from first to last that a caption paints."""
    image = blank(**size)
    drawing.draw_caption(image, box, caption)
    rows, columns = np.nonzero(painted(image))
    return rows.min(), rows.max(), columns.min(), columns.max()


def test_caption_stands_above_its_box():
    top, bottom, left, _ = caption_extent([50, 60, 90, 100])
    assert 40 <= top < bottom < 60
    assert 50 <= left <= 55


@pytest.mark.parametrize(
    "box",
    [
        [0, 0, 30, 30],
        [190, 0, 200, 10],
        [199, 119, 199, 119],
        [-9, 119, 5, 300],
        [400, -50, 500, 5],
    ],
)
def test_caption_is_whole_wherever_its_box_is(box):
    top, bottom, left, right = caption_extent([50, 60, 90, 100])
    size = bottom - top, right - left
    top, bottom, left, right = caption_extent(box)
    assert (bottom - top, right - left) == size
    assert (top >= 0, bottom <= 119, left >= 0, right <= 199) == (True,) * 4


def test_caption_has_light_letters_and_a_dark_outline():
    for shade in (0, 255):
        image = np.full((120, 200, 3), shade, "uint8")
        drawing.draw_caption(image, [50, 60, 90, 100], "cat")
        assert image.min() < 60
        assert image.max() > 245


def test_caption_grows_with_the_image_and_may_exceed_a_tiny_one():
    small = caption_extent([50, 60, 90, 100])
    large = caption_extent([500, 600, 900, 1000], height=1200, width=2000)
    assert large[1] - large[0] > 2 * (small[1] - small[0])
    assert caption_extent([0, 0, 5, 5], height=16, width=30)[3] == 29  # cut off, not refused


def test_detections_above_the_threshold_are_drawn_in_their_colours():
    image = blank()
    boxes = np.array([[10, 50, 40, 80], [60, 50, 90, 80], [110, 50, 140, 80]], float)
    scores, labels = np.array([0.9, 0.5, 0.51]), np.array([1, 2, 3])
    drawing.draw_detections(image, boxes, scores, labels)
    assert image[80, 25].tolist() == drawing.label_color(1)
    assert image[80, 125].tolist() == drawing.label_color(3)
    assert not painted(image)[40:100, 55:95].any()  # a score equal to the threshold is not above


def test_detections_are_named():
    def drawn(**options):
        image = blank()
        arrays = np.array([[10, 50, 40, 80.0]]), np.array([0.9]), np.array([1])
        drawing.draw_detections(image, *arrays, color=(9, 9, 9), **options)
        assert (image[80, 15:35] == 9).all()
        return image

    expected = blank()
    drawing.draw_box(expected, [10, 50, 40, 80], (9, 9, 9), thickness=1)
    drawing.draw_caption(expected, [10, 50, 40, 80], "owl: 0.90")
    np.testing.assert_array_equal(drawn(label_to_name={1: "owl"}.get), expected)
    assert (drawn() != expected).any()  # "1: 0.90"


def caption_height(side, boxes):
    """How high the caption above the first of some boxes is, on a square image."""
    image = blank(side, side)
    drawing.draw_detections(
        image, boxes, np.full(len(boxes), 0.9), np.zeros(len(boxes), int), color=(128, 128, 128)
    )
    x1, y1, x2, _ = boxes[0].astype(int)
    rows = np.flatnonzero((image[:y1, x1:x2] == 255).any(axis=(1, 2)))
    return rows.max() - rows.min() + 1


def test_captions_of_many_small_boxes_scale_with_the_boxes():
    places = np.stack(np.meshgrid(np.arange(10), np.arange(10)), axis=-1).reshape(-1, 2) * 100.0
    boxes = np.concatenate([places + 60, places + 99], axis=1)
    assert caption_height(1000, boxes) < 0.5 * caption_height(1000, boxes[:1])
    # A single small box has room around it, and large boxes do not ask for larger letters.
    large = np.concatenate([np.full((100, 2), 100.0), np.full((100, 2), 900.0)], axis=1)
    assert caption_height(1000, boxes[:1]) == caption_height(1000, large)


def test_annotations_as_dictionary_and_as_array_look_alike():
    boxes, labels = np.array([[10, 50, 40, 80], [60, 50, 90, 80.0]]), np.array([1, 0])
    first, second, own = blank(), blank(), blank()
    names = ["cat", "dog"]
    drawing.draw_annotations(
        first, {"bboxes": boxes, "labels": labels}, label_to_name=names.__getitem__
    )
    rows = np.concatenate([boxes, labels[:, None]], axis=1)
    drawing.draw_annotations(second, rows, label_to_name=names.__getitem__)
    np.testing.assert_array_equal(first, second)
    assert first[80, 25].tolist() == [0, 255, 0]
    drawing.draw_annotations(own, rows, color=None)
    assert own[80, 25].tolist() == drawing.label_color(1)


def test_annotations_want_a_label_for_each_box():
    with pytest.raises(ValueError, match="each of 2 boxes, got 1"):
        drawing.draw_annotations(blank(), {"bboxes": np.zeros((2, 4)), "labels": np.zeros(1)})


def test_contact_sheet_lays_out_equal_cells():
    panels = [
        np.full((h, w, 3), v, "uint8") for h, w, v in ((40, 60, 50), (40, 60, 90), (20, 60, 130))
    ]
    sheet = drawing.contact_sheet(panels, columns=2, gap=2)
    assert sheet.shape == (2 * 40 + 3 * 2, 2 * 60 + 3 * 2, 3)
    assert (sheet[2:42, 2:62] == 50).all()
    assert (sheet[2:42, 64:124] == 90).all()
    # The low panel keeps its height: 10 black rows above and below.
    assert (sheet[44:54, 2:62] == 0).all()
    assert (sheet[54:74, 2:62] == 130).all()
    assert (sheet[74:84, 2:62] == 0).all()


def test_contact_sheet_shrinks_to_the_cell_and_takes_titles():
    panels = [np.full((400, 200, 3), 200, "uint8")] * 3
    sheet = drawing.contact_sheet(panels, columns=1, titles=["a", "b", "c"], cell=(100, 100), gap=0)
    bar = sheet.shape[0] // 3 - 100
    assert 8 < bar < 40
    assert sheet.shape == (3 * (100 + bar), 100, 3)
    assert (sheet[bar : bar + 100, 25:75] == 200).all()
    assert (sheet[bar : bar + 100, :25] == 0).all()
    assert sheet[:bar, :30].max() > 200
    assert panels[0].min() == 200


@pytest.mark.parametrize(
    ("count", "columns", "titles"), [(0, 2, None), (2, 0, None), (2, 1, ["only one"])]
)
def test_contact_sheet_refuses(count, columns, titles):
    with pytest.raises(ValueError, match="expected"):
        drawing.contact_sheet([blank()] * count, columns, titles)


def test_a_picture_is_written_to_a_new_folder(tmp_path):
    path = tmp_path / "new" / "a.png"
    picture = np.arange(18, dtype="uint8").reshape(2, 3, 3)
    drawing.write_picture(path, picture)
    np.testing.assert_array_equal(cv2.imread(str(path)), picture)
    with pytest.raises(OSError, match=r"a\.png"):
        drawing.write_picture(path / "x.png", picture)


def test_a_label_without_a_name_is_shown_by_its_number():
    assert drawing._name(12, lambda label: None) == "label 12"
    assert drawing._name(12, lambda label: "cat") == "cat"
    assert drawing._name(12.0, None) == "12"
