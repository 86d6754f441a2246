import io
import sys

import pytest

from keras_retinanet.reports import progress


def test_progress_bar_writes_one_plain_line_to_a_file(capsys):
    with progress.progress_bar("Running network", 3) as advance:
        advance(2)
        assert capsys.readouterr() == ("", "")
        advance(1)
    assert capsys.readouterr() == ("", "Running network: 3 of 3\n")
    for options in ({"shown": False}, {"transient": True}):
        with progress.progress_bar("Running network", 3, **options) as advance:
            advance(3)
    assert capsys.readouterr() == ("", "")


def test_progress_bar_tells_a_log_file_twice_a_minute(capsys, monkeypatch):
    now = iter([0, 10, 31, 31, 50, 62, 62])
    monkeypatch.setattr(progress.time, "monotonic", lambda: next(now))
    with progress.progress_bar("Running network", 100) as advance:
        for _ in range(4):
            advance(1)
    assert capsys.readouterr().err == "Running network: 2 of 100\nRunning network: 4 of 100\n"


def test_a_closed_pipe_is_an_error_for_the_command_to_handle(monkeypatch):
    """Rich would end the program with code 1."""

    class Closed(io.StringIO):
        def write(self, text):
            raise BrokenPipeError

    monkeypatch.setattr(sys, "stderr", Closed())
    with progress.progress_bar("Running network", 1) as advance, pytest.raises(BrokenPipeError):
        advance(1)
