import cv2
import numpy as np
import pytest

from keras_retinanet.annotations import kitti_layouts
from keras_retinanet.preprocessing.data import KittiData
from keras_retinanet.preprocessing.kitti import KittiGenerator

CAR = "Car 0.00 0 -1.57 10.5 2 30 12.25 1.5 1.6 4.0 1.0 1.5 20.0 -1.5"


def write(folder, labels="label_2", images="image_2", names=("000000", "000001")):
    for name in (labels, images):
        if name:
            (folder / name).mkdir(parents=True)
    for number, name in enumerate(names):
        if labels:
            (folder / labels / f"{name}.txt").write_text(f"{CAR}\n" * number)
        if images:
            cv2.imwrite(str(folder / images / f"{name}.png"), np.zeros((20, 40, 3), "uint8"))
    return folder


@pytest.fixture
def download(tmp_path):
    """The data as downloaded: one set with labels, one without, and other folders."""
    write(tmp_path / "training")
    write(tmp_path / "testing", labels=None)
    (tmp_path / "training" / "calib").mkdir()
    return tmp_path


@pytest.mark.parametrize("inside", ["", "training"])
def test_the_data_as_downloaded_is_one_set(download, inside):
    data = KittiData(download / inside)
    assert kitti_layouts.recognises(download / inside)
    assert data.set_names() == ["training"]
    generator = data.open_training()
    assert generator.paths == [
        str(download / "training" / "image_2" / f"00000{index}.png") for index in range(2)
    ]
    assert generator.load_annotations(1)["bboxes"].tolist() == [[10.5, 2, 30, 12.25]]
    assert data.open_validation() is None
    assert KittiData(download, val_set="training").open_validation().size() == 2
    for subset in ("train", "training"):
        assert KittiGenerator(download / inside, subset).paths == generator.paths
    with pytest.raises(FileNotFoundError, match="testing/labels"):
        KittiGenerator(download, "testing")
    with pytest.raises(ValueError, match=r"no set 'val' \(sets: training\)"):
        KittiData(download, val_set="val").open_validation()


@pytest.mark.parametrize("folders", [("labels", "images"), ("label_2", "image_2")])
def test_sets_of_ones_own(tmp_path, folders):
    for name in ("train", "val"):
        write(tmp_path / name, *folders)
    data = KittiData(tmp_path)
    assert kitti_layouts.recognises(tmp_path)
    assert list(kitti_layouts.find_sets(tmp_path)) == ["train", "val"]
    for opened, name in ((data.open_training(), "train"), (data.open_validation(), "val")):
        assert opened.paths[0] == str(tmp_path / name / folders[1] / "000000.png")


def test_images_that_are_not_there_are_looked_for_beside_the_labels(tmp_path):
    write(tmp_path / "training", images=None)
    with pytest.raises(
        ValueError, match=r"2 of 2 image files not found, .*training/image_2/000000"
    ):
        KittiGenerator(tmp_path)


@pytest.mark.parametrize("text", ["0 0.5 0.5 0.1 0.1\n", "", "1 2 3 4 5 6 7 8\n", "\0" * 2000])
def test_other_labels_are_not_taken_for_kitti(tmp_path, text):
    write(tmp_path / "train", "labels", "images")
    for path in (tmp_path / "train" / "labels").iterdir():
        path.write_text(text)
    assert not kitti_layouts.recognises(tmp_path)
    assert not kitti_layouts.recognises(tmp_path / "train" / "labels" / "000000.txt")
    assert not kitti_layouts.recognises(tmp_path / "nowhere")
