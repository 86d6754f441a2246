import pytest

from keras_retinanet.preprocessing.data import OpenImagesData
from keras_retinanet.preprocessing.recognise import recognise
from tests import data_sets
from tests.annotations import test_coco_layouts as coco_exports
from tests.annotations import test_voc_layouts as voc_exports
from tests.annotations import test_yolo_layouts as yolo_exports

FORMS = ("csv", "coco", "pascal", "kitti", "oid", "yolo")


@pytest.mark.parametrize("form", FORMS)
def test_each_form_is_recognised_by_its_folder(tmp_path, monkeypatch, form):
    monkeypatch.chdir(tmp_path)  # where Open Images has its cache
    folder = data_sets.write(tmp_path, form)
    (data,) = recognise(folder)
    assert data.name == form
    if isinstance(data, OpenImagesData):
        assert data.version == "v4"
    opened = data.open_validation() or data.open_training()
    assert opened.size() == data_sets.read(tmp_path, form).size()
    assert opened.classes == data_sets.read(tmp_path, form).classes


@pytest.mark.parametrize(
    ("form", "name"),
    [
        ("csv", "annotations.csv"),
        ("coco", "annotations/instances_val2017.json"),
        ("yolo", "data.yaml"),
    ],
)
def test_a_file_stands_for_its_data_set(tmp_path, form, name):
    data_sets.write(tmp_path, form)
    (data,) = recognise(tmp_path / name)
    assert data.name == form


def test_what_is_none_of_them_is_not_recognised(tmp_path):
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "a.jpg").write_bytes(b"")
    (tmp_path / "notes.txt").write_text("hello")
    (tmp_path / "table.csv").write_text("name,price\ncat,3\n")
    (tmp_path / "page.xml").write_text("<html></html>")
    (tmp_path / "data.json").write_text("{}")
    (tmp_path / "settings.yaml").write_text("a: 1\n")
    for path in (tmp_path, *tmp_path.iterdir()):
        assert recognise(path) == []
    with pytest.raises(FileNotFoundError):
        recognise(tmp_path / "gone")


def test_a_list_in_yaml_is_no_row_of_csv(tmp_path):
    path = tmp_path / "data.yaml"
    path.write_text("a: [1,1,1,1,1,1,1]\nnames: [cat]\ntrain: images\n")
    assert [data.name for data in recognise(path)] == ["yolo"]


def test_all_forms_that_fit_are_returned(tmp_path):
    for form in ("csv", "yolo"):
        data_sets.write(tmp_path, form)
    assert [data.name for data in recognise(tmp_path)] == ["csv", "yolo"]


@pytest.mark.parametrize("write", coco_exports.EXPORTS)
def test_each_export_in_coco_form_is_recognised(tmp_path, write):
    write(tmp_path)
    assert [data.name for data in recognise(tmp_path)] == ["coco"]


@pytest.mark.parametrize("export", voc_exports.EXPORTS)
def test_each_export_in_voc_form_is_recognised(tmp_path, export):
    folder = voc_exports.write(tmp_path, voc_exports.EXPORTS[export])
    assert [data.name for data in recognise(folder)] == ["pascal"]


@pytest.mark.parametrize("layout", yolo_exports.LAYOUTS)
def test_each_export_in_yolo_form_is_recognised(tmp_path, layout):
    path, _ = yolo_exports.make(tmp_path, layout)
    assert [data.name for data in recognise(path)] == ["yolo"]
