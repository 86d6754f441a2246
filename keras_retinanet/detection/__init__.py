"""A model and images in, detections out."""
