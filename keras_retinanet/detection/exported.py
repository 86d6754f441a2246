"""What an exported file says of itself: all that detecting with it takes, without Keras."""

from __future__ import annotations

import json
from dataclasses import dataclass, fields
from typing import Any

from keras_retinanet.model_info import ModelInfo
from keras_retinanet.system.messages import shorten
from keras_retinanet.system.types import StrPath

# Under this name the record is in the metadata of a file; with .json, a file of its own.
KEY = "keras_retinanet"
MAX_RECORD_BYTES = 2**22
PRECISIONS = ("float32", "bfloat16", "float16", "int8")


@dataclass(frozen=True)
class ExportRecord:
    """What an exported file says of itself.

    Its network takes BGR images `(b, h, w, 3)` of values 0..255, and normalises them itself.

    Attributes:
        info: what the model knew, with the filter settings of the export.
        is_raw: whether the outputs are the boxes `(b, n, 4)` and scores `(b, n, classes)` of all
            anchors, to be filtered outside; otherwise boxes `(b, n, 4)`, scores and labels `(b, n)`
            of detections, padded with -1.
        precision: the numbers that it computes with, one of `PRECISIONS`.
        input_type: of the images, "uint8" or "float32".
        input_size: height and width of the images; None for any.
    """

    info: ModelInfo
    is_raw: bool = False
    precision: str = "float32"
    input_type: str = "uint8"
    input_size: tuple[int, int] | None = None

    def to_json(self) -> str:
        """Return the record as JSON."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return json.dumps({**values, "info": self.info.to_dict()})

    @classmethod
    def from_json(cls, text: str | bytes | None, path: StrPath) -> ExportRecord:
        """Return the record that `to_json` described.

        Args:
            text: the JSON; None if a file has none.
            path: the file, for errors.

        Raises:
            ValueError: naming the file, if it has no record, or a damaged one.
        """
        if text is None:
            raise ValueError(
                f"{path}: expected a model that retinanet-convert-model exported, got one that "
                "does not say how its images are prepared"
            )
        try:
            if len(text) > MAX_RECORD_BYTES:
                raise ValueError(f"expected at most {MAX_RECORD_BYTES} bytes, got {len(text)}")
            return cls._from_values(json.loads(text))
        except (ValueError, RecursionError) as error:
            raise ValueError(f"{path}: its metadata is damaged: {shorten(error, 200)}") from None

    @classmethod
    def _from_values(cls, values: Any) -> ExportRecord:
        names = {field.name for field in fields(cls)}
        if not isinstance(values, dict) or "info" not in values or not set(values) <= names:
            raise ValueError(f"expected the record of an export, got {shorten(values)}")
        defaults = {field.name: field.default for field in fields(cls)}
        values = {**defaults, **values}
        size = values["input_size"]
        checks = {
            "is_raw": isinstance(values["is_raw"], bool),
            "precision": values["precision"] in PRECISIONS,
            "input_type": values["input_type"] in ("uint8", "float32"),
            "input_size": size is None
            or (
                isinstance(size, list)
                and len(size) == 2
                and all(type(side) is int and 0 < side < 10**6 for side in size)
            ),
        }
        wrong = [name for name, is_right in checks.items() if not is_right]
        if wrong:
            raise ValueError(f"{wrong[0]}: got {shorten(repr(values[wrong[0]]))}")
        info = ModelInfo.from_dict(values["info"])
        return cls(**{**values, "info": info, "input_size": tuple(size) if size else None})
