"""Names for types that many signatures share."""

import os
from collections.abc import Mapping
from typing import TypeAlias

import numpy as np

# A file or folder.
StrPath: TypeAlias = str | os.PathLike[str]

# The ground truth of an image: "bboxes" `(n, 4)` in pixels, "labels" `(n,)`, and whatever else has
# one entry for each box; `n` may be 0.
Annotations: TypeAlias = Mapping[str, np.ndarray]
