import numpy as np
import pytest

from keras_retinanet.annotations.decimals import read_decimals


def test_numbers_are_those_that_float_reads():
    rng = np.random.default_rng(0)
    texts = ["0", "-0", "7", "-12", "007", "0.1", "-0.05", "3.50", "0.000000000000001"]
    texts += [
        f"{rng.uniform(-(10**size), 10**size):.{places}f}"
        for size in range(8)
        for places in range(8)
    ]
    assert read_decimals(",".join(texts).encode()).tolist() == list(map(float, texts))


@pytest.mark.parametrize(
    "text", ["0.30000000000000004", "123456789012345678", "-1234567890.1234567", "1" * 400]
)
def test_numbers_of_many_digits(text):
    assert read_decimals(f"{text},1.5".encode()).tolist() == [float(text), 1.5]


@pytest.mark.parametrize(
    "text",
    [
        "",
        ",",
        "1,",
        ",1",
        "1,,2",
        "-",
        "1,-",
        "--1",
        "1-2",
        "1-",
        ".5",
        "1.",
        "-.5",
        "1.2.3",
        "1..2",
    ]
    + ["1e5", "nan", "inf", " 1", "1 ", "+1", "1_0", "1;2", "x", "0x1", "１", "1,\n2", "1\0"],
)
def test_what_is_written_otherwise_is_refused(text):
    with pytest.raises(ValueError, match="^expected decimal numbers"):
        read_decimals(text.encode())
