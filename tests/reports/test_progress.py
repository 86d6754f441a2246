import io
import re
import sys

import pytest

from keras_retinanet.reports import progress


def test_progress_bar_writes_one_plain_line_to_a_file(capsys):
    with progress.progress_bar("Running network", 3) as advance:
        advance(2)
        assert capsys.readouterr() == ("", "")
        advance(1)
    out, line = capsys.readouterr()
    assert out == ""
    assert re.fullmatch(r"Running network: 3 of 3, [\d.]+/s\n", line)
    for options in ({"shown": False}, {"transient": True}):
        with progress.progress_bar("Running network", 3, **options) as advance:
            advance(3)
    assert capsys.readouterr() == ("", "")


def test_progress_bar_tells_a_log_file_twice_a_minute(capsys, monkeypatch):
    now = iter([0, 10, 31, 31, 50, 64, 64])
    monkeypatch.setattr(progress.time, "monotonic", lambda: next(now))
    with progress.progress_bar("Running network", 100) as advance:
        for _ in range(4):
            advance(10)
    expected = "Running network: 20 of 100, 0.6/s\nRunning network: 40 of 100, 0.6/s\n"
    assert capsys.readouterr().err == expected
    now = iter([0, 40, 40])
    with progress.progress_bar("Reading", None) as advance:
        advance(8)
    assert capsys.readouterr().err == "Reading: 8, 0.2/s\n"


def test_a_closed_pipe_is_an_error_for_the_command_to_handle(monkeypatch):
    """Rich would end the program with code 1."""

    class Closed(io.StringIO):
        def write(self, text):
            raise BrokenPipeError

    monkeypatch.setattr(sys, "stderr", Closed())
    with progress.progress_bar("Running network", 1) as advance, pytest.raises(BrokenPipeError):
        advance(1)
