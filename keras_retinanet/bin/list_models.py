"""`--list-models`: the table of published checkpoints."""


def print_models() -> None:
    """Print what each published checkpoint is, and then where its file comes from and goes to."""
    from rich.table import Table

    from keras_retinanet.reports.tables import print_table
    from keras_retinanet.zoo.fetching import cache_path
    from keras_retinanet.zoo.table import ALIASES, ENTRIES, NAMES, find

    table = Table(box=None, pad_edge=False)
    for title in ("model", "source", "network", "classes", "COCO AP", "weights", "licence"):
        right = title in ("COCO AP", "weights")
        table.add_column(title, no_wrap=True, justify="right" if right else "left")
    for name in NAMES:
        entry = find(name)
        precision = entry.average_precision
        table.add_row(
            name,
            entry.source,
            entry.backbone,
            entry.classes,
            "-" if precision is None else f"{precision:.1f}",
            f"{entry.parameters / 1e6:.1f} M",
            entry.licence,
        )
    files = Table(box=None, pad_edge=False)
    for title in ("model", "bytes", "SHA-256", "address"):
        files.add_column(title, no_wrap=True, justify="right" if title == "bytes" else "left")
    for entry in ENTRIES.values():
        size = "-" if entry.size is None else str(entry.size)
        digits = "-" if entry.sha256 is None else f"{entry.sha256[:8]}..."
        files.add_row(entry.name, size, digits, entry.url)
    # Wide enough that nothing is cut when the tables go to a file.
    print_table(table, min_width=120)
    alias, meant = next(iter(ALIASES.items()))
    print(f"\n{alias} is {meant}. The files are kept in {cache_path(find(alias)).parent}:\n")
    print_table(files, min_width=240)
