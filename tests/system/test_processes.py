"""Each case runs in a process of its own, which forks: in here TensorFlow has started."""

import subprocess
import sys

import pytest

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="no fork")

IN_A_CHILD = """
import os
from keras_retinanet.system import processes
{before}
child = os.fork()
if not child:
    try:
        processes.refuse_after_fork()
    except RuntimeError as error:
        print("refused:", error, flush=True)
    else:
        print("fine", flush=True)
    os._exit(0)
os.waitpid(child, 0)
processes.refuse_after_fork()  # the parent can go on
"""


@pytest.mark.parametrize(
    ("before", "expected"),
    [
        ("", "fine"),
        ("import keras; import tensorflow as tf; tf.config.list_physical_devices()", "fine"),
        ("import tensorflow as tf; tf.constant(1.0)", "refused"),
        # A grandchild is no better off than the child.
        ("import tensorflow as tf; tf.constant(1.0); os.fork() and os._exit(0)", "refused"),
    ],
)
def test_refuses_where_tensorflow_had_started_before_the_fork(before, expected):
    program = IN_A_CHILD.format(before=before)
    if "os._exit" in before:  # the parent in it is a child
        program = program.rpartition("processes.refuse")[0] + "os._exit(0)"
    result = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=120
    )
    assert result.stdout.startswith(expected), result.stderr
    if expected == "refused":
        assert "get_context('spawn')" in result.stdout
