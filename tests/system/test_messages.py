import pytest

from keras_retinanet.system.messages import shorten


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
