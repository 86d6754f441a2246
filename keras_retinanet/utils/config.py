"""The config file under its old import path."""

from keras_retinanet.config import (  # noqa: F401
    parse_anchor_parameters,
    parse_pyramid_levels,
    read_config_file,
)
