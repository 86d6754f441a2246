"""`--list-backbones`: print the table of backbones and end."""

import argparse


class ListBackbones(argparse.Action):
    """An option like `--help`: it prints the table and ends the program."""

    def __init__(self, option_strings, dest, **kwargs):
        """Take no value."""
        super().__init__(option_strings, dest, nargs=0, **{**kwargs, "default": argparse.SUPPRESS})

    def __call__(self, parser, namespace, values, option_string=None):
        """Print the table and end."""
        print_backbones()
        parser.exit()


def print_backbones() -> None:
    """Print name, size, levels, normalisation and source of weights of every backbone."""
    from rich.console import Console
    from rich.table import Table

    from keras_retinanet.backbone_table import BACKBONES

    table = Table(box=None, pad_edge=False)
    for title in ("backbone", "parameters", "levels", "normalisation", "ImageNet weights"):
        table.add_column(title, no_wrap=True, justify="right" if title == "parameters" else "left")
    for name, entry in BACKBONES.items():
        source = entry.url or "none published: --weights or --no-weights"
        size = f"{entry.parameters / 1e6:.1f} M"
        table.add_row(name, size, "2-7", entry.normalisation, source)
    # A redirected table keeps its addresses whole.
    console = Console()
    console.width = max(console.width, 240)
    console.print(table)
