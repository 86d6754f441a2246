"""The counters of Keras's callbacks, such as epochs without progress, from one run to the next."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import keras

from keras_retinanet.callbacks.snapshots import SaveSnapshots

# What a callback counts, as attributes; Keras resets those of its own when training begins.
_COUNTERS: Mapping[type[keras.callbacks.Callback], tuple[str, ...]] = {
    keras.callbacks.ReduceLROnPlateau: ("best", "wait", "cooldown_counter"),
    keras.callbacks.EarlyStopping: ("best", "wait", "best_epoch"),
    SaveSnapshots: ("best", "best_epoch"),
}


class KeepCounters(keras.callbacks.Callback):
    """A callback that lets other callbacks go on counting where an earlier run stopped.

    It comes after them in the list of callbacks.

    Args:
        callbacks: the callbacks, at most one of each class; those that count nothing are ignored.
        earlier: what `values` returned at the end of the earlier run.
    """

    def __init__(
        self,
        callbacks: Sequence[keras.callbacks.Callback],
        earlier: Mapping[str, Mapping[str, float]],
    ) -> None:
        super().__init__()
        self._counting = [call for call in callbacks if type(call) in _COUNTERS]
        self._earlier = earlier

    def on_train_begin(self, logs: Mapping[str, float] | None = None) -> None:
        """Set the counters, which Keras has just reset."""
        for callback in self._counting:
            values = self._earlier.get(type(callback).__name__, {})
            for name in _COUNTERS[type(callback)]:
                if isinstance(values.get(name), (int, float)):
                    setattr(callback, name, values[name])

    def values(self) -> dict[str, dict[str, float]]:
        """Return the counters that are set: class of the callback -> name -> value."""
        counters: dict[str, dict[str, float]] = {}
        for callback in self._counting:
            found = {name: getattr(callback, name, None) for name in _COUNTERS[type(callback)]}
            counters[type(callback).__name__] = {
                name: value if isinstance(value, int) else float(value)
                for name, value in found.items()
                if value is not None
            }
        return counters
