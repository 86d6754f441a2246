import pytest

from keras_retinanet.batches.grouping import Groups


def test_the_last_batch_is_filled_from_the_first_images():
    assert Groups(5, 2, "none", False, 0).for_epoch(0) == [[0, 1], [2, 3], [4, 0]]
    assert Groups(2, 5, "none", False, 0).for_epoch(3) == [[0, 1, 0, 1, 0]]


def test_like_ratios_meet_and_those_that_are_equal_change_partners():
    ratios = [1, 2] * 10
    groups = Groups(20, 2, "ratio", True, 0, ratios)
    epochs = [groups.for_epoch(epoch) for epoch in range(3)]
    for epoch in epochs:
        assert sorted(sum(epoch, [])) == list(range(20))
        assert all(ratios[one] == ratios[other] for one, other in epoch)
    partners = [{frozenset(group) for group in epoch} for epoch in epochs]
    assert partners[0] != partners[1] != partners[2]


def test_an_epoch_is_the_same_whatever_was_asked_before():
    one, other = (Groups(9, 2, "random", True, 7) for _ in range(2))
    for epoch in range(5):
        one.for_epoch(epoch)
    assert one.for_epoch(2) == other.for_epoch(2)
    assert one.for_epoch(2) != Groups(9, 2, "random", True, 8).for_epoch(2)


@pytest.mark.parametrize(
    ("size", "batch_size", "method", "message"),
    [(1, 0, "none", "at least 1, got 0"), (1, 1, "x", "got 'x'"), (0, 1, "none", "got none")],
)
def test_bad_arguments_are_refused(size, batch_size, method, message):
    with pytest.raises(ValueError, match=message):
        Groups(size, batch_size, method, True, 0)
