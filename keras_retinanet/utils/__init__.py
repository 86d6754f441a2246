"""The import paths of keras-retinanet 1.0.0."""
