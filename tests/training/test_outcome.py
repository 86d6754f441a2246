from dataclasses import replace

import pytest

from keras_retinanet.preprocessing.data import CSVData
from keras_retinanet.training import run


def silent(text):
    """Take what a run says, and say nothing."""


@pytest.mark.filterwarnings("default:clipped boxes that leave")
@pytest.mark.filterwarnings("default:.*contains the following invalid boxes")
def test_boxes_that_leave_their_image_are_counted(plan, tmp_path):
    (tmp_path / "edge.csv").write_text("0.png,-1,20,50,60,square\n1.png,-9,20,50,60,square\n")
    data = CSVData(str(tmp_path / "edge.csv"), plan.data.classes)
    lines = []
    with pytest.warns(UserWarning, match="^dropped 1 boxes of 1 images, without area or not"):
        run.train(replace(plan, data=data, epochs=1, snapshots=False), log=lines.append)
    assert "Clipped 1 boxes of 1 images, which left their image by up to a pixel" in lines
