import json

import pytest

from keras_retinanet.annotations.open_images_layouts import (
    LAYOUTS,
    Files,
    choose_classes,
    find_hierarchy_parent,
    load_hierarchy_children,
    read_class_names,
    read_hierarchy,
)

TREE = {
    "LabelName": "/m/root",
    "Subcategory": [
        {"LabelName": "/m/pet", "Subcategory": [{"LabelName": "/m/cat"}, {"LabelName": "/m/dog"}]},
        {"LabelName": "/m/car"},
    ],
}
NAMES = {"/m/cat": "Cat", "/m/car": "Car", "/m/pet": "Pet", "/m/dog": "Dog"}


@pytest.fixture
def files(tmp_path):
    folder = tmp_path / "2018_04"
    folder.mkdir()
    rows = "".join(f"{ident},{name}\n" for ident, name in NAMES.items())
    (folder / "class-descriptions-boxable.csv").write_text(rows)
    (folder / "bbox_labels_600_hierarchy.json").write_text(json.dumps(TREE))
    return Files(tmp_path, "train", "v4")


def test_the_first_file_that_exists_is_used(tmp_path):
    files = Files(str(tmp_path), "validation", "v7")
    assert files.images() == str(tmp_path / "validation")
    (tmp_path / "images" / "validation").mkdir(parents=True)
    assert files.images() == str(tmp_path / "images" / "validation")
    boxes = files.metadata(*files.layout.boxes)
    assert boxes == str(tmp_path / "oidv6-validation-annotations-bbox.csv")


def test_versions_and_subsets_that_do_not_exist_are_named():
    with pytest.raises(ValueError, match="version: expected one of v3, v4, .*got 'v2'"):
        Files("", "train", "v2")
    with pytest.raises(ValueError, match="subset: challenge2018 has train and validation"):
        Files("", "test", "challenge2018")
    assert set(LAYOUTS) == {"v3", "v4", "challenge2018", "v5", "v6", "v7"}


def test_held_out_images_are_those_to_evaluate_on(tmp_path):
    (tmp_path / "challenge2018").mkdir()
    path = tmp_path / "challenge2018" / "challenge-2018-image-ids-valset-od.csv"
    path.write_text("ImageID\na\nb\n")
    training, validation = (
        Files(tmp_path, subset, "challenge2018").is_in_subset()
        for subset in ("train", "validation")
    )
    assert [training(ident) for ident in "abc"] == [False, False, True]
    assert [validation(ident) for ident in "abc"] == [True, True, False]
    assert Files(tmp_path, "train", "v4").is_in_subset() is None


def test_names_keep_their_order_and_lose_their_quotes(files, tmp_path):
    assert read_class_names(files) == NAMES
    path = tmp_path / "2018_04" / "class-descriptions-boxable.csv"
    path.write_text('/m/1,"Boy\'s ""hat"""\n')
    assert read_class_names(files) == {"/m/1": "Boys hat"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("/m/1\n", r"line 1: expected 'id,name', got \['/m/1'\]"),
        ("/m/1,a\n/m/1,b\n", "line 2: duplicate class id: /m/1"),
        ("/m/1,a\n/m/2,a\n", r"duplicate class name: 'a' \(/m/2\)"),
        ("", "expected at least one class, got none"),
        ("/m/1,\n", "line 1: expected 'id,name', got"),
        (",a\n", "line 1: expected 'id,name', got"),
        ("a" * 100_000 + "\n", "line 1: expected 'id,name', got .'aaa"),
        ("\n" * 2**22 + "/m/1,a", "expected a file of at most 4194304 bytes"),
    ],
)
def test_malformed_names_are_named(files, tmp_path, text, message):
    path = tmp_path / "2018_04" / "class-descriptions-boxable.csv"
    path.write_text(text)
    with pytest.raises(ValueError, match=f"^{path}: {message}") as error:
        read_class_names(files)
    assert len(str(error.value)) < 300 + len(str(path))


@pytest.mark.parametrize(
    "header",
    [
        "LabelName,DisplayName",
        "labelname,displayname",
        "Label Name,Display Name,Count",
        "\ufeffLabelName,DisplayName\r",
        '"LabelName","DisplayName"',
        "\nid,name",
        "mid,display_name",
        "class_id,class_name",
    ],
)
def test_a_header_is_no_class(files, tmp_path, header):
    path = tmp_path / "2018_04" / "class-descriptions-boxable.csv"
    path.write_text(f"{header}\n{path.read_text()}")
    with pytest.warns(UserWarning, match=f"^{path}: line [12] is a header, left out: "):
        assert read_class_names(files) == NAMES


@pytest.mark.parametrize("text", ["/m/cat\n/m/dog\n", "LabelName\n/m/cat\n/m/dog\n"])
def test_a_header_of_the_classes_in_use(tmp_path, text):
    folder = tmp_path / "2017_11"
    folder.mkdir()
    rows = "".join(f"{ident},{name}\n" for ident, name in NAMES.items())
    (folder / "class-descriptions.csv").write_text(rows)
    (folder / "classes-bbox-trainable.txt").write_text(text)
    assert read_class_names(Files(tmp_path, "train", "v3")) == {"/m/cat": "Cat", "/m/dog": "Dog"}


@pytest.mark.parametrize("header", ["", "ImageID\n", "\ufeffimage_id\r\n"])
def test_a_header_of_the_held_out_images(tmp_path, header):
    (tmp_path / "challenge2018").mkdir()
    path = tmp_path / "challenge2018" / "challenge-2018-image-ids-valset-od.csv"
    path.write_text(f"{header}a\nb\n")
    is_in_subset = Files(tmp_path, "validation", "challenge2018").is_in_subset()
    assert [is_in_subset(ident) for ident in "abc"] == [True, True, False]


def test_the_hierarchy():
    assert find_hierarchy_parent(TREE, "/m/pet") == TREE["Subcategory"][0]
    assert find_hierarchy_parent(TREE, "/m/nothing") is None
    children = ["/m/root", "/m/pet", "/m/cat", "/m/dog", "/m/car"]
    assert load_hierarchy_children(TREE) == children


def nested(depth):
    return '{"LabelName": "a", "Subcategory": [' * depth + "]}" * depth


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("x", "expected JSON"),
        ("", "expected JSON"),
        ("[]", "expected an object with the key 'LabelName', got"),
        ('{"Subcategory": []}', "expected an object with the key 'LabelName'"),
        ('{"LabelName": 3}', "expected an object with the key 'LabelName'"),
        ('{"LabelName": "a", "Subcategory": 0}', "Subcategory: expected a list, got 0"),
        ('{"LabelName": "a", "Subcategory": null}', "Subcategory: expected a list, got None"),
        ('{"LabelName": "a", "Subcategory": {"b": 1}}', "Subcategory: expected a list"),
        ('{"LabelName": "a", "Subcategory": "bc"}', "Subcategory: expected a list"),
        ('{"LabelName": "a", "Subcategory": [null]}', "expected an object .*, got None"),
        (f'{{"LabelName": "a", "Subcategory": [{"[" * 900}{"]" * 900}]}}', "expected"),
        ('{"LabelName": %s}' % ("9" * 5000), "expected JSON: Exceeds the limit"),
        (f'{{"Subcategory": "{"x" * 100_000}"}}', "expected an object .* got .*xxx ... xxx"),
        (nested(100_000), "expected fewer levels of nesting"),
        (" " * 2**22 + "{}", "expected a file of at most 4194304 bytes"),
    ],
)
def test_a_malformed_hierarchy_is_named(tmp_path, content, message):
    path = tmp_path / "a.json"
    path.write_text(content)
    with pytest.raises(ValueError, match=f"^{path}: {message}") as error:
        read_hierarchy(path)
    assert len(str(error.value)) < 300 + len(str(path))


def test_a_hierarchy_may_be_nested_deeply(tmp_path):
    (tmp_path / "a.json").write_text(nested(400).replace("[]", '[{"LabelName": "b"}]'))
    tree = read_hierarchy(tmp_path / "a.json")
    assert find_hierarchy_parent(tree, "b") == {"LabelName": "b"}
    # Deeper than Python's own recursion, as a program may build it.
    for _ in range(3000):
        tree = {"LabelName": "c", "Subcategory": [tree]}
    assert find_hierarchy_parent(tree, "b") == {"LabelName": "b"}
    assert find_hierarchy_parent(tree, "none") is None
    assert load_hierarchy_children(tree) == ["c"] * 3000 + ["a"] * 400 + ["b"]


def test_classes_are_all_or_those_chosen(files):
    assert choose_classes(files, NAMES) == list(NAMES)
    assert choose_classes(files, NAMES, ["Dog", "Cat", "Dog"]) == ["/m/dog", "/m/cat"]
    with pytest.warns(UserWarning, match="labels_filter has no effect"):
        found = choose_classes(files, NAMES, ["Car"], parent_label="Pet")
    assert found == ["/m/pet", "/m/cat", "/m/dog"]
    with pytest.raises(ValueError, match="unknown class 'Cow', expected one such as"):
        choose_classes(files, NAMES, ["Cow"])
