"""What a training run writes and prints: snapshots, history, pictures, numbers."""

import os


def make_callbacks(options, model, validation) -> list:
    """Return the callbacks in their order: what logs comes before what writes the logs."""
    import keras

    from keras_retinanet.callbacks.snapshots import SaveSnapshots, StopOnNaN, WriteHistory

    folder, callbacks = options.snapshot_path, [StopOnNaN()]
    os.makedirs(folder, exist_ok=True)
    tensorboard = make_tensorboard(options)
    evaluates = options.evaluation and validation is not None
    if evaluates:
        callbacks.append(make_evaluation(options, validation, tensorboard))
    if options.snapshots:
        name = f"{options.backbone}_{options.dataset_type}_{{epoch:02d}}.{options.snapshot_format}"
        callbacks.append(SaveSnapshots(os.path.join(folder, name)))
    if options.lr_schedule == "plateau":
        callbacks.append(
            keras.callbacks.ReduceLROnPlateau(
                monitor="loss",
                factor=options.reduce_lr_factor or 0.1,
                patience=options.reduce_lr_patience or 2,
                min_delta=0.0001,
                verbose=1,
            )
        )
    if evaluates and options.early_stopping:
        callbacks.append(
            keras.callbacks.EarlyStopping("mAP", patience=5, mode="max", min_delta=0.01)
        )
    history = os.path.join(folder, "history.csv")
    callbacks.append(WriteHistory(history, options.initial_epoch))
    return callbacks + ([tensorboard] if tensorboard else [])


def make_tensorboard(options):
    """Return TensorBoard's callback, or None if it is not wanted."""
    import importlib.util

    import keras

    if not options.tensorboard_dir:
        return None
    if importlib.util.find_spec("tensorboard") is None:
        raise ValueError("--tensorboard-dir needs TensorBoard: pip install tensorboard")
    return keras.callbacks.TensorBoard(
        options.tensorboard_dir, update_freq=options.tensorboard_freq
    )


def make_evaluation(options, validation, tensorboard):
    """Return the callback that evaluates after each epoch."""
    if options.dataset_type == "coco":
        from keras_retinanet.callbacks.coco import CocoEval

        return CocoEval(validation, tensorboard=tensorboard)
    from keras_retinanet.callbacks.eval import Evaluate

    return Evaluate(validation, tensorboard=tensorboard, weighted_average=options.weighted_average)


def draw_history(options) -> None:
    """Draw the curves of the history file."""
    from keras_retinanet.reports import curves

    picture = os.path.join(options.snapshot_path, "curves.png")
    curves.plot_history(os.path.join(options.snapshot_path, "history.csv"), picture)
    print(f"Curves: {picture}")


def report(options, callbacks, validation) -> None:
    """Print how good the trained model is, and draw what it finds."""
    from keras_retinanet.bin.evaluate import print_numbers
    from keras_retinanet.callbacks.common import Evaluation
    from keras_retinanet.evaluation import measure
    from keras_retinanet.reports import curves

    # The detector of the evaluation after each epoch is ready; a new one would be traced again.
    detector = next(call.detector() for call in callbacks if isinstance(call, Evaluation))
    detections, seconds = measure.detect_dataset(
        validation, detector, max_detections=100, batch_size=options.batch_size
    )
    precisions = measure.pascal_numbers(validation, detections)
    summary = measure.coco_numbers(validation, detections)
    print(f"\nThe trained model on {validation.size()} held-out images:")
    print_numbers(validation, precisions, summary, seconds)
    sheet = os.path.join(options.snapshot_path, "detections.png")
    curves.write_detection_sheet(validation, detections, sheet)
    print(f"Left ground truth, right detections: {sheet}")
