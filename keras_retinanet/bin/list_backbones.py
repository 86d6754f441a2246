"""`--list-backbones`: the table of backbones."""


def print_backbones() -> None:
    """Print name, size, levels, normalisation and source of weights of every backbone."""
    from rich.table import Table

    from keras_retinanet.backbone_table import BACKBONES
    from keras_retinanet.reports.tables import print_table

    table = Table(box=None, pad_edge=False)
    for title in ("backbone", "parameters", "levels", "normalisation", "ImageNet weights"):
        table.add_column(title, no_wrap=True, justify="right" if title == "parameters" else "left")
    for name, entry in BACKBONES.items():
        source = entry.url or "none published: --weights or --no-weights"
        size = f"{entry.parameters / 1e6:.1f} M"
        table.add_row(name, size, "2-7", entry.normalisation, source)
    # Wide enough that the addresses are not cut when the table goes to a file.
    print_table(table, min_width=240)
