import cv2
import numpy as np

from keras_retinanet.reports import curves


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


def test_the_learning_rate_is_drawn_but_not_the_speed(tmp_path):
    path, picture_path = tmp_path / "history.csv", tmp_path / "curves.png"
    path.write_text(
        "epoch,loss,learning_rate,images_per_second,data_wait,mAP\n"
        "1,2.5,0.001,31,0.1,0.1\n2,1.5,0.0001,33,0.2,0.25\n"
    )
    curves.plot_history(path, picture_path)
    image = cv2.imread(str(picture_path))
    assert image.shape == (400, 1500, 3)
    spread = image.max(axis=2).astype(int) - image.min(axis=2)
    assert (spread[:, 1000:] > 60).sum() > 50
