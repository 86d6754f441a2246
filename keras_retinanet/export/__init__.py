"""From a model to a file of another runtime, one file a format, and the check that they agree."""
