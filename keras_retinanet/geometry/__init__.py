"""Boxes, anchors and training targets."""
