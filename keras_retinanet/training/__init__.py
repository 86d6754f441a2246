"""Training: what a run is, and how it is done."""
