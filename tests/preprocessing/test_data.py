import pytest

from keras_retinanet.preprocessing.data import (
    CocoData,
    CSVData,
    KittiData,
    OpenImagesData,
    PascalData,
    ShapesData,
    YoloData,
)


@pytest.mark.parametrize(
    ("data", "training", "validation"),
    [
        (CocoData, "instances_train2017", "instances_val2017"),
        (PascalData, r"/train\.txt", r"val\.txt"),
        (KittiData, "train.labels", "val.labels"),
        (YoloData, r"data\.yaml", r"data\.yaml"),
        (OpenImagesData, "2018_04.class-desc", "2018_04.class-desc"),
    ],
)
def test_nothing_is_read_until_a_set_is_opened(tmp_path, data, training, validation):
    opened = data(tmp_path)
    for opener, missing in ((opened.open_training, training), (opened.open_validation, validation)):
        with pytest.raises(FileNotFoundError, match=missing):
            opener()


def test_csv_evaluates_on_what_is_given(tmp_path):
    for name in ("train.csv", "val.csv"):
        (tmp_path / name).write_text(f"{name}.png,,,,,\n")
        (tmp_path / f"{name}.png").write_bytes(b"")
    (tmp_path / "classes.csv").write_text("cat,0\n")
    train, val, classes = (str(tmp_path / f"{name}.csv") for name in ("train", "val", "classes"))
    assert CSVData(train, classes).open_validation() is None
    data = CSVData(train, classes, val)
    assert data.open_training().image_names == ["train.csv.png"]
    assert data.open_validation(batch_size=1).image_names == ["val.csv.png"]


def test_shapes_have_disjoint_sets():
    data = ShapesData()
    training, validation = data.open_training(), data.open_validation(batch_size=2)
    assert (training.set_name, validation.set_name) == ("train", "val")
    assert (validation.size(), validation.batch_size) == (200, 2)
