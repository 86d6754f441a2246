"""From samples to batches: reading, grouping, padding, caching."""
