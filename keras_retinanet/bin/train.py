"""`retinanet-train`: train a detector on a data set and report how good it is."""

from collections.abc import Sequence

from keras_retinanet.bin import common
from keras_retinanet.bin.legacy_api import (
    create_callbacks,
    create_generators,
    create_models,
    makedirs,
    model_with_weights,
)
from keras_retinanet.bin.train_options import check_args, make_plan, naming_flags, parse_args
from keras_retinanet.system import devices
from keras_retinanet.system.machine import keep_freed_memory

__all__ = [
    "check_args",
    "create_callbacks",
    "create_generators",
    "create_models",
    "main",
    "makedirs",
    "model_with_weights",
    "parse_args",
]


@common.report_errors
def main(args: Sequence[str] | None = None) -> None:
    """Run the command."""
    options = parse_args(args)
    is_shapes = options.dataset_type == "shapes"
    # Small operations gain nothing from two threads each, but two of them can run side by side: a
    # step on shapes took 135 ms instead of 175 on two cores.
    devices.start_tensorflow(op_threads=1 if is_shapes else None)
    if is_shapes and options.export:
        from keras_retinanet.preprocessing import shapes

        shapes.export(options.export)
        print(f"wrote the data set to {options.export}")
        return
    devices.setup_gpu(options.gpu)
    keep_freed_memory()
    from keras_retinanet.training.run import train

    with naming_flags(), common.outliving_its_readers():
        train(make_plan(options))


if __name__ == "__main__":
    main()
