import pytest

from keras_retinanet.annotations.csv_files import CSVFiles, find_csv_files

ROBOFLOW = "filename,width,height,class,xmin,ymin,xmax,ymax\na.jpg,9,9,cat,1,2,3,4\n"
OLD = "a.jpg,1,2,3,4,cat\n"


def put(folder, **texts):
    for name, text in texts.items():
        path = folder / f"{name.replace('__', '/')}.csv"
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"train": OLD, "val": OLD, "classes": "cat,0\n"}, ("train.csv", "classes.csv", "val.csv")),
        ({"train_labels": ROBOFLOW, "test_labels": ROBOFLOW}, ("train_labels.csv", "-", None)),
        (
            {"train___annotations": ROBOFLOW, "valid___annotations": ROBOFLOW},
            ("train/_annotations.csv", "-", "valid/_annotations.csv"),
        ),
        (
            {"train___annotations": OLD, "train___classes": "cat,0\n"},
            ("train/_annotations.csv", "train/_classes.csv", None),
        ),
        ({"_annotations": ROBOFLOW, "other": "x,y\n"}, ("_annotations.csv", "-", None)),
    ],
)
def test_files_are_found_in_a_folder(tmp_path, files, expected):
    put(tmp_path, **files)
    found = find_csv_files(tmp_path)
    paths = [name and name != "-" and str(tmp_path / name) or name for name in expected]
    assert found == CSVFiles(*paths)


def test_a_file_is_taken_alone(tmp_path):
    put(tmp_path, train=OLD, val=OLD, classes="cat,0\n")
    path = str(tmp_path / "train.csv")
    assert find_csv_files(path) == CSVFiles(path, str(tmp_path / "classes.csv"), None)


def test_there_may_be_none_or_too_many(tmp_path):
    assert find_csv_files(tmp_path) is None
    assert find_csv_files(tmp_path / "nowhere") is None
    put(tmp_path, classes="cat,0\n")
    assert find_csv_files(tmp_path / "classes.csv") is None
    assert find_csv_files(tmp_path) is None
    put(tmp_path, a=OLD, b=OLD)
    with pytest.raises(ValueError, match=r"one called train\.csv, got a\.csv, b\.csv: name the"):
        find_csv_files(tmp_path)
