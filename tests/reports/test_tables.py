import sys

import pytest
from rich.table import Table

from keras_retinanet.reports.tables import print_table


def make_table():
    table = Table("name", "size")
    table.add_row("cat", "3" * 100)
    return table


def test_a_table_is_as_wide_as_asked_for(capsys):
    print_table(make_table(), min_width=200)
    assert "3" * 100 in capsys.readouterr().out
    print_table(make_table())
    assert "cat" in capsys.readouterr().out


def test_a_closed_pipe_is_an_error_and_no_end_of_the_program(monkeypatch):
    class Closed:
        encoding = "utf-8"

        def write(self, text):
            raise BrokenPipeError

        def isatty(self):
            return False

        def flush(self):
            raise BrokenPipeError

    monkeypatch.setattr(sys, "stdout", Closed())
    with pytest.raises(BrokenPipeError):
        print_table(make_table())
