import cv2
import numpy as np

from keras_retinanet.detection.detections import Detections
from keras_retinanet.reports.detection_sheet import write_detection_sheet
from tests.fakes import MemoryGenerator, picture, truth


def test_sheet_pairs_ground_truth_and_detections(tmp_path):
    boxes = [(8, 8, 40, 40), (10, 20, 50, 60)]
    images = [picture(64, 64, box) for box in boxes]
    generator = MemoryGenerator(images, [truth((*box, 0)) for box in boxes])
    found = [
        Detections(np.array([box], "float32"), np.array([0.9]), np.array([1])) for box in boxes
    ]
    path = tmp_path / "sheet.png"
    write_detection_sheet(generator, found, path, count=2)
    sheet = cv2.imread(str(path))
    # Four panels in a row, each enlarged to 320 pixels.
    assert sheet.shape[0] >= 320
    assert sheet.shape[1] >= 4 * 320
    green = (sheet == (0, 255, 0)).all(axis=2)
    assert green[:, : sheet.shape[1] // 4].any()


def test_sheet_with_unreadable_and_gigantic_images(tmp_path):
    images = [ValueError("cut off"), picture(30, 20_000, (0, 0, 20_000, 30)), picture(1, 1)]
    generator = MemoryGenerator(images, [truth(), truth((0, 0, 20_000, 30, 0)), truth()])
    path = tmp_path / "sheet.png"
    write_detection_sheet(generator, [Detections.empty()] * 3, path, count=3)
    sheet = cv2.imread(str(path))
    assert sheet.shape[1] <= 4 * 820
    cell = sheet[4 : sheet.shape[0] // 2 - 4, 4 : sheet.shape[1] // 4 - 1]
    assert not cell.any()  # black: the image that cannot be read
    assert (sheet == (0, 255, 0)).all(axis=2).any()  # the box of the long one
