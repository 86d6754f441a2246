import cv2
import numpy as np

from keras_retinanet.detection.detections import Detections
from keras_retinanet.reports import curves
from tests.fakes import MemoryGenerator, picture, truth


def test_history_is_read_with_gaps(tmp_path):
    path = tmp_path / "history.csv"
    path.write_text("epoch,loss,mAP\n1,2.5,\n2,1.5,0.25\n")
    found = curves.read_history(path)
    assert found["epoch"] == [1, 2]
    assert found["loss"] == [2.5, 1.5]
    assert np.isnan(found["mAP"][0])
    assert found["mAP"][1] == 0.25


def test_curves_are_drawn(tmp_path):
    path, picture_path = tmp_path / "history.csv", tmp_path / "curves.png"
    path.write_text("epoch,loss,mAP\n1,2.5,0.1\n2,1.5,0.25\n")
    curves.plot_history(path, picture_path)
    image = cv2.imread(str(picture_path))
    assert image.shape == (400, 1000, 3)
    # Coloured lines in both halves: some pixels that are not grey.
    spread = image.max(axis=2).astype(int) - image.min(axis=2)
    assert (spread[:, :500] > 60).sum() > 50
    assert (spread[:, 500:] > 60).sum() > 50


def test_sheet_pairs_ground_truth_and_detections(tmp_path):
    boxes = [(8, 8, 40, 40), (10, 20, 50, 60)]
    images = [picture(64, 64, box) for box in boxes]
    generator = MemoryGenerator(images, [truth((*box, 0)) for box in boxes])
    found = [
        Detections(np.array([box], "float32"), np.array([0.9]), np.array([1])) for box in boxes
    ]
    path = tmp_path / "sheet.png"
    curves.write_detection_sheet(generator, found, path, count=2)
    sheet = cv2.imread(str(path))
    # Four panels in a row, each enlarged to 320 pixels.
    assert sheet.shape[0] >= 320
    assert sheet.shape[1] >= 4 * 320
    green = (sheet == (0, 255, 0)).all(axis=2)
    assert green[:, : sheet.shape[1] // 4].any()


def test_sheet_with_unreadable_and_gigantic_images(tmp_path):
    images = [ValueError("cut off"), picture(30, 20_000, (0, 0, 20_000, 30)), picture(1, 1)]
    generator = MemoryGenerator(images, [truth(), truth((0, 0, 20_000, 30, 0)), truth()])
    nothing = Detections(np.zeros((0, 4), "float32"), np.zeros(0), np.zeros(0, int))
    path = tmp_path / "sheet.png"
    curves.write_detection_sheet(generator, [nothing] * 3, path, count=3)
    sheet = cv2.imread(str(path))
    assert sheet.shape[1] <= 4 * 820
    cell = sheet[4 : sheet.shape[0] // 2 - 4, 4 : sheet.shape[1] // 4 - 1]
    assert not cell.any()  # black: the image that cannot be read
    assert (sheet == (0, 255, 0)).all(axis=2).any()  # the box of the long one
