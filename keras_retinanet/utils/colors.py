"""Colours under their old import path."""

from keras_retinanet.drawing import label_color

colors = [label_color(label) for label in range(80)]
