"""Models to files and back."""

import os
import warnings
from dataclasses import replace

import h5py
import keras

from keras_retinanet import optimizers  # noqa: F401 (registers the class that snapshots hold)
from keras_retinanet.model_info import ModelInfo
from keras_retinanet.models.backbones import backbone
from keras_retinanet.models.building import limited_weights, stored_numbers
from keras_retinanet.models.checksum import add_checksum
from keras_retinanet.models.classes import set_info
from keras_retinanet.models.hdf5 import (
    is_archive,
    is_keras2,
    names_in,
    naming_model_file,
    open_hdf5,
    read_config,
)
from keras_retinanet.models.hdf5_image import hdf5_image
from keras_retinanet.models.old_snapshots import read_old_model
from keras_retinanet.models.published import load_published
from keras_retinanet.system.files import replacing
from keras_retinanet.system.types import StrPath
from keras_retinanet.zoo.checkpoints import is_checkpoint_name
from keras_retinanet.zoo.class_names import names_for
from keras_retinanet.zoo.fetching import model_path
from keras_retinanet.zoo.table import Entry, find

FORMATS = (".keras", ".h5", ".hdf5")


def save_model(model: keras.Model, path: StrPath) -> None:
    """Write a model with its info, weights and, if compiled, optimizer, atomically.

    Args:
        model: a model.
        path: where to write; `.keras`, or `.h5` or `.hdf5` for Keras's older format.

    Raises:
        OSError: if it cannot be written.
        ValueError: if the suffix is another one.
    """
    check_suffix(path)
    with replacing(path) as temporary:
        if str(path).endswith(".keras"):
            model.save(str(temporary))
        else:
            temporary.write_bytes(hdf5_image(model))
            add_checksum(temporary)  # each member of a .keras archive has one


def check_suffix(path: StrPath) -> None:
    """Raise ValueError if `save_model` has no format for a file name."""
    if not str(path).endswith(FORMATS):
        raise ValueError(f"{path}: expected a file name that ends in {', '.join(FORMATS)}")


def load_model(
    filepath: StrPath | h5py.File, backbone_name: str = "resnet50", *, compile: bool = False
) -> keras.Model:
    """Return the model in a file.

    A training snapshot of keras-retinanet 1.0.0 (Keras 2) becomes a `RetinaNet`, a converted model
    a `RetinaNetBBox`. Files of this package hold either. All of these have an `info`.

    A checkpoint of torchvision, detectron2 or MMDetection becomes a `RetinaNet` that computes the
    same.

    Args:
        filepath: path of a `.keras` or `.h5` file, or of a published `.pth`, `.pkl` or
            `.safetensors` checkpoint; a name of `zoo.table`, such as "coco", whose file is
            downloaded once; or an open `h5py.File`.
        backbone_name: name of the backbone. The file takes precedence; a name that is neither the
            file's nor the default gives a warning.
        compile: whether to restore the losses and the optimizer with its state, if the file has
            them.

    Raises:
        OSError: if there is no such file.
        ValueError: if it is not a model, is damaged, or holds links or external storage.
    """
    if isinstance(filepath, h5py.File):
        model = _load_file(filepath, filepath.filename, backbone_name, compile)
    else:
        path = model_path(filepath)
        if is_checkpoint_name(path):
            model = load_published(path)
        else:
            model = _load_file(path, path, backbone_name, compile)
        if os.fspath(path) != os.fspath(filepath):
            _add_what_is_known(model, find(os.fspath(filepath)))
    if backbone_name != "resnet50":  # the default does not mean that the caller expects it
        check_backbone(model, backbone_name)
    return model


def _load_file(
    source: StrPath | h5py.File, path: StrPath, backbone_name: str, compile: bool
) -> keras.Model:
    """Return the model in a .keras or .h5 file, or in an open file, of that path."""
    with naming_model_file(path):
        if isinstance(source, h5py.File) or not is_archive(source):
            return _load_hdf5(source, backbone_name, compile)
        with open_hdf5(source) as file:  # everything in the archive is checked
            stored = stored_numbers(file)
        return _load_with_keras(path, ".keras", stored, backbone_name, compile)


def _add_what_is_known(model: keras.Model, entry: Entry) -> None:
    """Give a published model its class names and image sides, if its file lacks them."""
    info: ModelInfo | None = getattr(model, "info", None)
    if info is None or info.class_names is not None:
        return
    info = replace(info, class_names=names_for(info.num_classes))
    if entry.image_sides is not None:
        shorter, longer = entry.image_sides
        info = replace(info, image_min_side=shorter, image_max_side=longer)
    set_info(model, info)


def check_backbone(model: keras.Model, backbone_name: str) -> None:
    """Warn if a model's info names another backbone."""
    info = getattr(model, "info", None)
    if info and info.backbone != backbone_name:
        warnings.warn(
            f"the backbone of this model is {info.backbone}, not {backbone_name}", stacklevel=3
        )


def is_keras2_file(path: StrPath | h5py.File) -> bool:
    """Return whether a model, in a file or of a name of `zoo.table`, was written with Keras 2."""
    if not isinstance(path, h5py.File):
        path = model_path(path)
    with open_hdf5(path) as file:
        return (isinstance(path, h5py.File) or not is_archive(path)) and is_keras2(file)


def _load_hdf5(source: StrPath | h5py.File, backbone_name: str, compile: bool) -> keras.Model:
    """Return the model in an HDF5 file."""
    with open_hdf5(source) as file:
        if is_keras2(file):
            return read_old_model(file, backbone_name)
        read_config(file)  # before Keras does
        if not os.path.isfile(file.filename):
            raise ValueError("expected an HDF5 file on disk, got one in memory")
        model = _load_with_keras(
            file.filename, (".h5", ".hdf5"), stored_numbers(file), backbone_name, compile
        )
        if compile and model.compiled:
            _restore_optimizer(model, file)
        return model


def _load_with_keras(
    path: StrPath, suffixes: str | tuple[str, ...], stored: int, backbone_name: str, compile: bool
) -> keras.Model:
    """Return a model that Keras 3 wrote; Keras chooses the format by the suffix.

    Args:
        path: the file, after everything in it was checked.
        suffixes: the suffixes of its format.
        stored: how many numbers it holds.
        backbone_name: name of the backbone.
        compile: see `load_model`.
    """
    if not str(path).endswith(suffixes):
        names = suffixes if isinstance(suffixes, str) else " or ".join(suffixes)
        raise ValueError(f"expected the name of a file of this format to end in {names}: rename it")
    custom_objects = backbone(backbone_name).custom_objects
    try:
        with limited_weights(stored):
            return keras.models.load_model(path, custom_objects=custom_objects, compile=compile)
    except RecursionError:
        raise
    except Exception as error:  # Keras raises nearly anything for a damaged file
        # Keras puts the configuration, which may be long, before the reason.
        reason = str(error).rpartition("Exception encountered: ")[2]
        raise ValueError(f"cannot load this model: {reason}") from error


def _restore_optimizer(model: keras.Model, file: h5py.File) -> None:
    """Give a model's optimizer its state from an .h5 file.

    Keras 3.15 does not: it builds the optimizer for the model's own variables, and a functional
    model has none.
    """
    group = file.get("optimizer_weights")
    if group is None:
        return
    optimizer = type(model.optimizer).from_config(model.optimizer.get_config())
    optimizer.build(model.trainable_variables)
    names = names_in(group, "weight_names")
    if len(names) != len(optimizer.variables):
        raise ValueError(
            f"expected {len(optimizer.variables)} tensors of the state of the "
            f"optimizer {optimizer.name}, got {len(names)}"
        )
    for variable, name in zip(optimizer.variables, names, strict=True):
        variable.assign(group[name][()])
    model.optimizer = optimizer
