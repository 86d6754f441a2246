import numpy as np
import pytest

from keras_retinanet.preprocessing.held_out import Groups, group_images, hold_out

CLASSES = ["cat", "traffic light"]


def numbered(form, count, start=1):
    return [form.format(start + i) for i in range(count)]


def groups_of(names, share=0.2, classes=CLASSES):
    """Return the names of each group with more than one image, and what is said of the groups."""
    groups = group_images(names, classes, share)
    assert sorted(sum(groups.indices, [])) == list(range(len(names)))
    together = [sorted(names[index] for index in group) for group in groups.indices]
    return sorted(group for group in together if len(group) > 1), groups


# Images that have nothing to do with each other.
OTHERS = [f"{name}.jpg" for name in "abcdefghijklmnopqrstuvwxyz"]


@pytest.mark.parametrize(
    "form",
    [
        *("NAME_{:04d}.jpg", "NAME-{:04d}.jpg", "name_frame{}.png", "clip ({}).jpg", "seq.{}.jpg"),
        *("night/NAME{:06d}.jpg", "GOPR0017-{:03d}.jpg", "cam1/img_{}.jpg", "clip7/{:06d}.jpg"),
        *("street_mp4-{}_jpg.rf.0a1b.jpg", "IMG_20240131_{}.jpg", "cat2_{:03d}.jpg"),
    ],
)
def test_frames_of_one_video_are_kept_together(form):
    frames = numbered(form, 5, start=8)
    together, groups = groups_of(OTHERS + frames)
    assert together == [sorted(frames)]
    assert groups.describe() == "1 sequence of frames kept together"


@pytest.mark.parametrize(
    "form",
    [
        *("IMG_{:04d}.jpg", "DSC{:05d}.JPG", "{:012d}.jpg", "DSCN{:04d}.jpg", "image{}.png"),
        *("COCO_train2014_{:012d}.jpg", "2007_{:06d}.jpg", "photo ({}).jpg", "P{:07d}.jpg"),
        *("cat.{}.jpg", "cats_{}.jpg", "Traffic-Light{:03d}.png", "cat/{:03d}.jpg", "train/{}.jpg"),
        *("{}_left.jpg", "3f{:02d}b.jpg"),
    ],
)
def test_names_of_cameras_data_sets_and_classes_are_no_videos(form):
    together, groups = groups_of(OTHERS + numbered(form, 5))
    assert together == []
    assert groups.describe() == ""


def test_two_numbers_are_no_sequence():
    assert groups_of([*OTHERS, "patient_1.jpg", "patient_2.jpg"])[0] == []


def test_videos_are_told_apart_by_name_and_folder():
    videos = [numbered(form, 4) for form in ("a_{}.jpg", "b_{}.jpg", "x/a_{}.jpg", "y/a_{}.jpg")]
    together, _ = groups_of(OTHERS + sum(videos, []))
    assert together == sorted(map(sorted, videos))


def test_copies_of_an_image_are_kept_together():
    names = [
        *("a_jpg.rf.111.jpg", "a_jpg.rf.222.jpg", "b_jpg.rf.333.jpg", "IMG_1_png.rf.4.jpg"),
        *("IMG_1_png.rf.5.jpg", "IMG_2_png.rf.6.jpg", "IMG_3_png.rf.7.jpg", "twice.jpg"),
        *("twice.jpg", "IMG_2_jpg.rf.8.jpg"),
    ]
    together, groups = groups_of(names)
    assert together == [
        ["IMG_1_png.rf.4.jpg", "IMG_1_png.rf.5.jpg"],
        ["a_jpg.rf.111.jpg", "a_jpg.rf.222.jpg"],
        ["twice.jpg", "twice.jpg"],
    ]
    assert groups.describe() == ""


def test_images_of_other_types_with_the_same_stem_are_different_images():
    assert groups_of(["a.jpg", "a.png", "b.jpg"])[0] == []


def test_copies_of_the_frames_of_a_video_are_frames():
    names = [f"clip_mp4-{i}_jpg.rf.{i}{copy}.jpg" for i in range(3) for copy in "xy"]
    assert groups_of([*OTHERS, *names], share=0.3)[0] == [sorted(names)]


def test_a_long_sequence_is_trained_on_where_there_are_other_images():
    names = OTHERS + numbered("film_{:03d}.jpg", 30)
    together, groups = groups_of(names)
    assert list(map(len, together)) == [30]
    assert len(groups.in_training) == 1
    labels = [np.zeros(1)] * len(names)
    is_held = hold_out(labels, groups, 0.2, seed=1)
    assert not is_held[len(OTHERS) :].any()
    assert is_held.sum() == 11  # a fifth of all 56


def test_a_sequence_of_nearly_all_images_is_cut_into_blocks():
    names = numbered("blood_{:03d}.jpg", 200)
    together, groups = groups_of(names)
    assert {len(group) for group in together} == {4}
    for group in together:
        numbers = [int(name[6:9]) for name in group]
        assert numbers == list(range(numbers[0], numbers[0] + 4))
    assert groups.describe() == (
        "blood_* too long to be held out in one piece: cut into blocks of 4 consecutive images"
    )


def test_blocks_follow_the_numbers_and_not_the_letters():
    names = numbered("film_{}.jpg", 200)  # film_10 comes before film_2
    for group in groups_of(names)[0]:
        numbers = sorted(int(name[5:-4]) for name in group)
        assert numbers == list(range(numbers[0], numbers[0] + 4))


@pytest.mark.parametrize("count", [4, 5, 10])
def test_of_a_few_videos_alone_some_are_held_out_completely(count):
    videos = [numbered(f"{name}_{{:02d}}.jpg", 20) for name in "abcdefghij"[:count]]
    names = sum(videos, [])
    groups = group_images(names, CLASSES, 0.2)
    is_held = hold_out([np.zeros(1)] * len(names), groups, 0.2, seed=3)
    sides = [{bool(is_held[names.index(name)]) for name in video} for video in videos]
    assert all(len(side) == 1 for side in sides)
    assert sum(side == {True} for side in sides) == max(1, round(0.2 * count))


def single(count):
    return Groups([[index] for index in range(count)])


def random_set(seed, count=300, classes=8):
    """Return labels of images in which some classes are rare, and some images without boxes."""
    rng = np.random.default_rng(seed)
    chance = 1 / (1 + np.arange(classes)) ** 1.5
    return [
        rng.choice(classes, size=rng.integers(0, 7), p=chance / chance.sum()) for _ in range(count)
    ]


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("share", [0.1, 0.2, 0.5, 0.8])
def test_each_class_is_held_out_near_the_share(share, seed):
    labels = random_set(seed)
    is_held = hold_out(labels, single(len(labels)), share, seed)
    assert is_held.sum() == pytest.approx(share * len(labels), abs=4)
    empty = np.array([not len(label) for label in labels])
    assert (empty & is_held).sum() == pytest.approx(share * empty.sum(), abs=3)
    total = np.bincount(np.concatenate(labels))
    held = np.bincount(np.concatenate([labels[i] for i in np.flatnonzero(is_held)]), minlength=8)
    assert (np.abs(held - share * total) <= np.maximum(3, 0.04 * total)).all(), (held, total)


def test_groups_stay_on_one_side_and_the_share_is_kept():
    labels = random_set(7)
    groups = Groups([list(range(start, start + 6)) for start in range(0, 300, 6)])
    is_held = hold_out(labels, groups, 0.2, seed=0)
    assert all(len(set(is_held[group].tolist())) == 1 for group in groups.indices)
    assert is_held.sum() == pytest.approx(60, abs=6)
    total = np.bincount(np.concatenate(labels))
    held = np.bincount(np.concatenate([labels[i] for i in np.flatnonzero(is_held)]), minlength=8)
    assert (np.abs(held - 0.2 * total) <= np.maximum(4, 0.06 * total)).all(), (held, total)


def test_the_split_follows_from_the_seed():
    labels = random_set(0)
    first, again, other = (hold_out(labels, single(300), 0.2, seed) for seed in (5, 5, 6))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


def test_the_order_of_the_files_does_not_matter():
    names = [f"{index * 7919 % 1000:03d}x.jpg" for index in range(300)]
    labels = random_set(2)

    def chosen(order):
        shuffled = [names[index] for index in order]
        groups = group_images(shuffled, CLASSES, 0.2)
        is_held = hold_out([labels[index] for index in order], groups, 0.2, seed=0)
        return {shuffled[index] for index in np.flatnonzero(is_held)}

    assert chosen(range(300)) == chosen(np.random.default_rng(0).permutation(300))


def test_a_case_worked_out_by_hand():
    # Four images with a cat and a rare dog each, four with a cat, two with nothing: of each kind
    # half is held out.
    labels = [np.array([0, 1])] * 4 + [np.array([0])] * 4 + [np.array([])] * 2
    for seed in range(5):
        is_held = hold_out(labels, single(10), 0.5, seed)
        assert [is_held[:4].sum(), is_held[4:8].sum(), is_held[8:].sum()] == [2, 2, 1]


def test_a_class_of_a_single_box_is_trained_on():
    labels = [np.array([0])] * 20
    labels[13] = np.array([0, 1])
    assert not any(hold_out(labels, single(20), 0.2, seed)[13] for seed in range(10))


@pytest.mark.parametrize(("share", "held"), [(0.01, 1), (0.2, 1), (0.5, 1), (0.99, 1)])
def test_both_sides_have_an_image(share, held):
    assert hold_out([np.array([0])] * 2, single(2), share, seed=0).sum() == held


@pytest.mark.parametrize("groups", [[[0]], [[0, 1, 2]]])
def test_what_cannot_be_divided_is_refused(groups):
    with pytest.raises(ValueError, match="expected two images or more that are not copies"):
        hold_out([np.array([0])] * 3, Groups(groups), 0.2, seed=0)
