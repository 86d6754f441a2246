"""`retinanet-train`: train a detector on a data set and report how good it is."""

import os
import shlex
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

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
from keras_retinanet.training.plan import TrainingPlan
from keras_retinanet.training.record import RunRecord

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
    with naming_flags():
        plan = make_plan(options)
    if os.environ.pop(devices.FROZEN_WEIGHTS, None):
        print(
            f"{devices.FROZEN_WEIGHTS} is not obeyed: weights change in training", file=sys.stderr
        )
    # Small operations gain nothing from two threads each, but two of them can run side by side: a
    # step on shapes took 135 ms instead of 175 on two cores.
    devices.start_tensorflow(op_threads=1 if is_shapes or plan.deterministic else None)
    if is_shapes and options.export:
        from keras_retinanet.preprocessing import shapes

        shapes.export(options.export)
        print(f"wrote the data set to {options.export}")
        return
    devices.setup_gpu(options.gpu)
    keep_freed_memory()
    from keras_retinanet.training.run import train

    with naming_flags(), common.outliving_its_readers(), saying_how_to_resume(plan, args):
        train(plan)


@contextmanager
def saying_how_to_resume(plan: TrainingPlan, args: Sequence[str] | None) -> Iterator[None]:
    """Print the command that goes on with a run that a signal or `max_time` ends.

    Args:
        plan: the plan of the run.
        args: command line arguments; None for those of the program.
    """
    try:
        yield
    except KeyboardInterrupt:
        _print_how_to_resume(plan, args)
        raise
    if plan.max_time is not None:
        _print_how_to_resume(plan, args)


def _print_how_to_resume(plan: TrainingPlan, args: Sequence[str] | None) -> None:
    """Print the command that goes on with a run whose state is saved; nothing if it is done."""
    record = RunRecord.of_state(plan.snapshot_path) if plan.snapshots else None
    if record is not None and not record.is_done:
        words = list(sys.argv[1:] if args is None else args)
        more = [] if plan.resume else ["--resume"]
        program = os.path.basename(sys.argv[0]) or "retinanet-train"
        print(f"\nTo go on: {shlex.join([program, *words, *more])}", flush=True)


if __name__ == "__main__":
    main()
