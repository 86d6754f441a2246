"""Models as the bytes of an HDF5 file."""

import h5py
import keras

_NAME = "in memory.h5"  # Keras chooses the format by the suffix
_BLOCK_BYTES = 2**24


class _InMemory(h5py.File):
    """A new HDF5 file in memory."""

    def __init__(self) -> None:
        super().__init__(_NAME, "w", driver="core", backing_store=False, block_size=_BLOCK_BYTES)

    def __str__(self) -> str:
        return _NAME


def hdf5_image(model: keras.Model) -> bytes:
    """Return a model as the bytes of an `.h5` file.

    On a full disk, or at a limit on the size of files, the HDF5 library ends the process by a
    memory fault or prints hundreds of errors. Bytes are written without it.
    """
    with _InMemory() as file:
        model.save(file)
        file.flush()
        return file.id.get_file_image()
