import hashlib

import pytest

from keras_retinanet.zoo.class_names import (
    COCO,
    COCO_91,
    DATA_SETS,
    OPEN_IMAGES_500,
    OPEN_IMAGES_601,
    canonical,
    names_for,
    with_other_spellings,
)


def digest(names):
    return hashlib.sha256("\n".join(names).encode()).hexdigest()


def test_coco_is_that_of_other_libraries():
    """The digest is of the classes that MMDetection writes into its checkpoints."""
    assert len(COCO) == len(set(COCO)) == 80
    assert digest(COCO) == "d7654b26101572841ed1cd80aa03aa60e35f1b8acb4aea6906c4066886f16e07"


def test_coco_by_id():
    assert len(COCO_91) == 91
    assert tuple(name for name in COCO_91 if name is not None) == COCO
    none = [ident for ident, name in enumerate(COCO_91) if name is None]
    assert none == [0, 12, 26, 29, 30, 45, 66, 68, 69, 71, 83]
    known = {1: "person", 11: "fire hydrant", 13: "stop sign", 44: "bottle", 67: "dining table"}
    known |= {70: "toilet", 84: "book", 90: "toothbrush"}
    assert {ident: COCO_91[ident] for ident in known} == known


def test_open_images_601_is_that_of_other_libraries():
    """The digest is of MMDetection's list, with the 16 names that Open Images 6 changed undone.

    The ids are those of the label map of TensorFlow's object detection, which counts from 1.
    """
    assert len(OPEN_IMAGES_601) == len(set(OPEN_IMAGES_601)) == 601
    expected = "01fa46d31b99105e6163be857df61de74f957896ac8ddef91c09ee0e997e2be9"
    assert digest(OPEN_IMAGES_601) == expected
    known = {1: "Tortoise", 69: "Person", 122: "Cat", 160: "Door", 228: "Woman", 242: "Horse"}
    assert {ident: OPEN_IMAGES_601[ident - 1] for ident in known} == known


def test_open_images_500_are_the_classes_of_the_challenge():
    """The digest is of the challenge's file as others copied it, sorted.

    Of three names the challenge changed in 2019, the ones of 2018 are taken.
    """
    assert len(set(OPEN_IMAGES_500)) == 500
    expected = "1091b016dc900c04ecd5d29d6b6649cd671871ef4cb0019a8741d9485c3fa7f3"
    assert digest(sorted(OPEN_IMAGES_500)) == expected
    assert set(OPEN_IMAGES_500) < set(OPEN_IMAGES_601)


def test_open_images_500_are_in_the_order_of_the_published_snapshots():
    """443 classes without others below them, by name; above these 46, 4, 4 and 3."""
    assert list(OPEN_IMAGES_500[:443]) == sorted(OPEN_IMAGES_500[:443])
    known = {0: "Accordion", 442: "Zucchini", 443: "Toy", 456: "Person", 464: "Car", 474: "Bird"}
    known |= {488: "Drink", 489: "Seafood", 493: "Vegetable", 497: "Furniture", 499: "Animal"}
    assert {label: OPEN_IMAGES_500[label] for label in known} == known


def test_no_name_holds_quotes_or_spaces_around_it():
    """keras-retinanet 1.0.0 removed quotes from the names of Open Images."""
    for name in (*COCO, *OPEN_IMAGES_500, *OPEN_IMAGES_601):
        assert name == name.strip() != ""
        assert not {*name} & {*"\"'`"}


@pytest.mark.parametrize("count", [80, 91, 500, 601])
def test_as_many_names_as_outputs(count):
    assert len(names_for(count)) == count
    assert count in DATA_SETS


def test_no_names_for_another_number():
    assert {*DATA_SETS} == {80, 91, 500, 601}
    assert names_for(20) is names_for(0) is names_for(600) is None


@pytest.mark.parametrize(
    ("name", "same"),
    [
        ("Traffic_light", "traffic light"),
        ("hot-dog", "Hot Dog"),
        (" teddy  bear ", "teddy bear"),
        ("tvmonitor", "TV"),
        ("motorbike", "motorcycle"),
        ("Aeroplane", "airplane"),
        ("sofa", "couch"),
        ("pottedplant", "potted_plant"),
        ("diningtable", "dining table"),
        ("STRASSE", "straße"),
    ],
)
def test_names_of_one_class(name, same):
    assert canonical(name) == canonical(same)


def test_names_of_different_classes():
    for names in (COCO, OPEN_IMAGES_500, OPEN_IMAGES_601):
        assert len({canonical(name) for name in names}) == len(names)
    assert canonical("person") == "person"


def test_other_spellings_are_added_and_names_stay_last():
    classes = {"traffic light": 0, "tv": 1, "sofa": 2, "couch": 3}
    found = with_other_spellings(classes)
    assert found == {**classes, "traffic_light": 0, "tvmonitor": 1}  # a sofa is another class here
    assert {label: name for name, label in found.items()} == dict(enumerate(classes))
