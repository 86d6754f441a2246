import json

import pytest

from keras_retinanet.detection.exported import MAX_RECORD_BYTES, ExportRecord
from keras_retinanet.model_info import ModelInfo

RECORD = ExportRecord(
    ModelInfo("resnet50", 2, ("cat", "dog"), normalisation="network"),
    is_raw=True,
    precision="int8",
    input_type="float32",
    input_size=(480, 640),
)


@pytest.mark.parametrize("record", [RECORD, ExportRecord(ModelInfo("vgg16", 1))])
def test_a_record_survives_json(record):
    assert ExportRecord.from_json(record.to_json(), "m.onnx") == record


def test_a_file_of_others_has_none():
    with pytest.raises(ValueError, match="^m.onnx: expected a model that retinanet-convert-model"):
        ExportRecord.from_json(None, "m.onnx")


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"precision": "int4"}, "precision: got 'int4'"),
        ({"input_type": "float64"}, "input_type"),
        ({"input_size": [480]}, "input_size"),
        ({"input_size": [0, 10**7]}, "input_size"),
        ({"is_raw": 1}, "is_raw"),
        ({"more": 1}, "expected the record of an export"),
        ({"info": {"backbone": 3}}, "info of a model"),
    ],
)
def test_damaged_records_are_refused(change, what):
    text = json.dumps({**json.loads(RECORD.to_json()), **change})
    with pytest.raises(ValueError, match=f"^m.onnx: its metadata is damaged: .*{what}"):
        ExportRecord.from_json(text, "m.onnx")


@pytest.mark.parametrize("text", ["", "[]", "{", "[" * 10**5, " " * (MAX_RECORD_BYTES + 1)])
def test_what_is_no_record_is_refused(text):
    with pytest.raises(ValueError, match="its metadata is damaged"):
        ExportRecord.from_json(text, "m.onnx")
