import pytest

from keras_retinanet.system.messages import describe_classes, shorten


def test_a_short_text_stays_on_one_line():
    assert shorten("a  b\nc") == "a b c"
    assert shorten([1, 2]) == "[1, 2]"


@pytest.mark.parametrize("limit", [20, 160])
@pytest.mark.parametrize("length", [150, 170, 5_000, 5_000_000])
def test_of_a_long_text_both_ends_are_kept(limit, length):
    text = "x" * (length - 2) + "yz"
    short = shorten(text, limit)
    assert len(short) <= limit
    assert short.startswith("xxx") and short.endswith("yz")
    assert (short == text) == (length <= limit)


def test_classes_are_named_in_the_order_of_their_labels():
    assert describe_classes({"dog": 1, "cat": 0}) == "cat 0, dog 1"
    assert describe_classes({f"{i}x": i for i in range(9)}, 2) == "0x 0, 1x 1, and 7 more"
    assert len(describe_classes({"x" * 999: 0})) < 50
