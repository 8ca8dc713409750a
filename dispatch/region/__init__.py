"""Many sites planned as one plant: each keeps its own promises and data, shared limits are met by prices."""
