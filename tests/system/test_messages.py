import pytest

from keras_retinanet.system.messages import (
    describe_classes,
    reason_with_path,
    shorten,
    without_password,
)


def test_a_short_text_stays_on_one_line():
    assert shorten("a  b\nc") == "a b c"
    assert shorten([1, 2]) == "[1, 2]"


def test_passwords_in_addresses_are_left_out():
    assert without_password("rtsp://me:p@ss@host:554/a@b") == "rtsp://host:554/a@b"
    assert (
        without_password("https://host/a?mail=x@y.z me@home") == "https://host/a?mail=x@y.z me@home"
    )
    assert shorten("no answer of rtsp://me:pass@host/1") == "no answer of rtsp://host/1"
    error = ValueError("rtsp://me:pass@host/1: no answer")
    assert reason_with_path("rtsp://me:pass@host/1", error) == "rtsp://host/1: no answer"


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
