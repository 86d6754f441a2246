"""States of runs, without a model, for tests of what is read of them before TensorFlow starts."""

import json
import zipfile
from pathlib import Path

from keras_retinanet.training.record import RECORD, STATE


def write_record(folder, record):
    """Write a state that holds a record and nothing else."""
    with zipfile.ZipFile(Path(folder, STATE), "w") as archive:
        archive.writestr(RECORD, json.dumps(record.to_dict()))
