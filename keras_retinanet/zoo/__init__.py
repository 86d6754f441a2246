"""Published checkpoints: their table, their download, and safe readers and converters of them."""
