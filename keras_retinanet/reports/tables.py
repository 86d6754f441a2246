"""Tables on stdout."""

import io

from rich.console import Console
from rich.table import Table


def print_table(table: Table, min_width: int = 0) -> None:
    """Print a table, as wide as the terminal, or at least `min_width` characters.

    Raises:
        BrokenPipeError: if nobody reads the output any more. Rich itself would end the program,
            with a code of its own.
    """
    there, text = Console(), io.StringIO()
    width = max(there.width, min_width)
    Console(file=text, width=width, force_terminal=there.is_terminal).print(table)
    print(text.getvalue(), end="")
