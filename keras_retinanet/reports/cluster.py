"""`retinanet-detect` on a Ray cluster: each machine runs the detector on batches of the images."""

from __future__ import annotations

import json
import logging
from collections.abc import Generator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from keras_retinanet.detection.detections import class_labels
from keras_retinanet.detection.detector import Detector
from keras_retinanet.detection.photos import detect_photos
from keras_retinanet.reports.detections import ImageDetections, Selection, write_copy
from keras_retinanet.system.messages import reason_with_path, shorten

# Images that a machine gets at a time.
_IMAGES_AT_ONCE = 16


@dataclass(frozen=True)
class ClusterRun:
    """What each machine of a cluster does with its images.

    Attributes:
        model: the file of the model, at a path that all machines have, or a name.
        load_options: for `Detector.load`.
        selection: which detections are reported.
        batch_size: maximum number of images in a batch of the network.
        max_pixels: maximum number of pixels that an image may declare.
        copies: path -> file of the annotated copy, for those that get one.
    """

    model: str
    load_options: Mapping[str, Any]
    selection: Selection
    batch_size: int
    max_pixels: int
    copies: Mapping[str, str]


@dataclass(frozen=True)
class Result:
    """What became of an image.

    Attributes:
        path: the file.
        found: its detections; None if it could not be read.
        maximum: the maximum that left others out, if one did.
        error: what went wrong, also where only the copy could not be written; empty if nothing.
    """

    path: str
    found: ImageDetections | None
    maximum: int | None
    error: str


def detect_on_cluster(
    run: ClusterRun, paths: Sequence[str], address: str | None = None
) -> Generator[Result, None, None]:
    """Yield what became of each image, in their order.

    Args:
        run: what is done with them.
        paths: the files, at paths that all machines have.
        address: of the cluster, such as "auto" or "ray://host:10001"; None to start one on this
            machine, which ends with the iteration.

    Raises:
        ValueError: if Ray is not installed, or the machines cannot load the model, or it has no
            such class.
        ConnectionError: if there is no cluster at the address.
    """
    try:
        import ray
        import ray.data
        import ray.exceptions
    except ImportError as error:
        raise ValueError(
            f"--engine ray needs ray, which is not installed: pip install 'keras-retinanet[ray]' "
            f"({error})"
        ) from None
    ray.init(
        address=address or "local",  # None joins a cluster that was started here or that is named
        include_dashboard=False,  # by a variable of the environment
        log_to_driver=False,
        logging_level=logging.ERROR,
    )
    try:
        context = ray.data.DataContext.get_current()
        context.execution_options.preserve_order = True
        context.enable_progress_bars = False
        machines = [node["Resources"].get("CPU", 1) for node in ray.nodes() if node["Alive"]]
        rows = ray.data.from_items([{"path": path} for path in paths]).map_batches(
            _Worker,
            fn_constructor_args=(run,),
            batch_size=_IMAGES_AT_ONCE,
            concurrency=len(machines),
            num_cpus=min(machines),
        )
        for row in rows.iter_rows():
            yield _result(row)
    except ray.exceptions.RayError as error:
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        causes = [line for line in lines if "Error: " in line]
        raise ValueError(f"--engine ray: {shorten((causes or lines)[-1], 300)}") from error
    finally:
        ray.shutdown()


class _Worker:
    """A detector on one machine, which keeps it from batch to batch."""

    def __init__(self, run: ClusterRun) -> None:
        from keras_retinanet.detection.formats import runs_in_tensorflow
        from keras_retinanet.system.devices import start_tensorflow

        if runs_in_tensorflow(run.model):
            start_tensorflow(weights_are_frozen=True)
        self._run, self._detector = run, Detector.load(run.model, **run.load_options)
        class_labels(run.selection.classes or (), self._detector.class_names)  # refuses others

    def __call__(self, batch: dict[str, np.ndarray]) -> dict[str, list[Any]]:
        """Return a row for each path."""
        run, paths = self._run, [str(path) for path in batch["path"]]
        found: dict[str, str] = {}
        errors: dict[str, str] = {}
        maxima: dict[str, int] = {}

        def fail(path: str, error: Exception) -> None:
            errors[path] = reason_with_path(path, error)

        photos = detect_photos(self._detector, paths, run.batch_size, fail, run.max_pixels)
        for photo in photos:
            described, maximum = run.selection.of(photo)
            found[photo.path] = json.dumps(asdict(described))
            if maximum is not None:
                maxima[photo.path] = maximum
            if photo.path in run.copies:
                try:
                    write_copy(photo.image, described, run.copies[photo.path])
                except Exception as error:  # must not cost the other images
                    fail(photo.path, error)
            del photo  # its memory is needed for the next one
        return {
            "path": paths,
            "found": [found.get(path, "") for path in paths],
            "maximum": [maxima.get(path, -1) for path in paths],
            "error": [errors.get(path, "") for path in paths],
        }


def _result(row: Mapping[str, Any]) -> Result:
    found = ImageDetections(**json.loads(row["found"])) if row["found"] else None
    maximum = int(row["maximum"])
    return Result(row["path"], found, maximum if maximum >= 0 else None, row["error"])
