import io

import pytest

from keras_retinanet.annotations.text import (
    bounded_lines,
    csv_rows,
    finite_number,
    naming_file,
    parse_lines,
    read_text,
    whole_number,
)


def test_text_is_utf_8_with_or_without_a_mark(tmp_path):
    path = tmp_path / "a.txt"
    for content in ("é\r\n", "\ufeffé\r\n"):
        path.write_bytes(content.encode())
        assert read_text(path) == "é\r\n"
    path.write_bytes("a\nb\ncafé\n".encode("latin-1"))
    with pytest.raises(ValueError) as error:
        read_text(path)
    assert str(error.value) == f"{path}: line 3: expected UTF-8 text, got the byte 0xe9"


def test_utf_16_is_named(tmp_path):
    path = tmp_path / "a.txt"
    for encoding in ("utf-16-le", "utf-16-be"):
        path.write_bytes("\ufeffa".encode(encoding))
        with pytest.raises(ValueError, match="line 1: expected UTF-8 text, got UTF-16: save it as"):
            read_text(path)


def test_lines_have_a_maximum_length():
    text = "a\rb\r\n\n" + "c" * 1000
    lines = io.StringIO(text, newline="")
    assert list(bounded_lines(lines)) == ["a\r", "b\r\n", "\n", "c" * 1000]
    with pytest.raises(ValueError, match="^line 2: expected fewer than 1048576 characters$"):
        list(bounded_lines(io.StringIO("a\n" + "b" * 2**21)))


def rows_of(text):
    return list(csv_rows(io.StringIO(text, newline="")))


def test_rows_come_with_the_line_they_begin_on():
    assert rows_of('a,1\r\n\r\n , \n"b, ""c""",2\rd') == [
        (1, ["a", "1"]),
        (4, ['b, "c"', "2"]),
        (5, ["d"]),
    ]
    assert rows_of("") == []


@pytest.mark.parametrize("rest", ["b,2\n", "b,2\n" * 50_000])
def test_a_quote_that_is_not_closed_is_named(rest):
    with pytest.raises(ValueError, match="^line 2: "):
        rows_of('a,1\n"b,2\n' + rest)


def test_lines_are_split_at_white_space_and_counted(tmp_path):
    path = tmp_path / "a.txt"
    path.write_bytes("\ufeff a  b\r\n\r\n \t\nc d\n".encode())
    places = parse_lines(path, "list", lambda fields, place: (fields[0], len(fields), place))
    assert [place for _, _, place in places] == ["line 1", "line 4"]
    assert places[0][:2] == ("a", 2)

    def refuse(fields, place):
        raise ValueError(f"{place}: no")

    with pytest.raises(ValueError) as error:
        parse_lines(path, "list", refuse)
    assert str(error.value) == f"invalid list: {path}: line 1: no"


def test_numbers():
    assert finite_number(" 1.5 ", "x") == 1.5
    assert whole_number("7", "x") == 7
    assert whole_number("9" * 400, "x") == int("9" * 400)
    for text, read in (
        ("inf", finite_number),
        ("-nan", finite_number),
        ("", finite_number),
        ("1.0", whole_number),
        ("1e10", finite_number),
        ("9" * 5000, whole_number),
        ("x" * 10**6, finite_number),
        ("x" * 10**6, whole_number),
    ):
        with pytest.raises(ValueError, match="^x: ") as error:
            read(text, "x")
        assert len(str(error.value)) < 200


def test_errors_name_the_file_and_stay_short():
    with (
        pytest.raises(ValueError, match="^bad list: a.txt: why$"),
        naming_file("a.txt", "bad list"),
    ):
        raise ValueError("why")
    with pytest.raises(ValueError, match="^a.txt: why") as error, naming_file("a.txt"):
        raise ValueError("why" + "y" * 10**6)
    assert len(str(error.value)) < 300
    with pytest.raises(ValueError, match="a.txt: expected fewer levels"), naming_file("a.txt"):
        raise RecursionError
    with pytest.raises(KeyError), naming_file("a.txt"):
        raise KeyError  # a defect of ours
