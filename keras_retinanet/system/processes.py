"""Forked processes, in which TensorFlow does not work once it has run in their parent."""

import os
import sys

# Whether this process is a fork of one in which TensorFlow had started. A fact of the process,
# which nobody can pass as an argument.
_is_unusable = False


def refuse_after_fork() -> None:
    """Raise an error where TensorFlow would wait for ever.

    A forked process does not have the threads of its parent, but TensorFlow waits for them. It
    works where the parent only imported it, and in processes that are spawned.

    Raises:
        RuntimeError: if TensorFlow had run in the parent of this process before the fork.
    """
    if _is_unusable:
        raise RuntimeError(
            "TensorFlow ran in the parent of this process before the fork, so here it would wait "
            "for ever. Start workers with multiprocessing.get_context('spawn') and load the model "
            "in each of them"
        )


def _after_fork() -> None:
    global _is_unusable
    # TensorFlow has no public way to ask this without starting itself. Where a release has other
    # names, nothing is refused.
    context = getattr(sys.modules.get("tensorflow.python.eager.context"), "_context", None)
    _is_unusable = _is_unusable or bool(getattr(context, "_initialized", False))


if hasattr(os, "register_at_fork"):  # not on Windows, where nothing forks
    os.register_at_fork(after_in_child=_after_fork)
