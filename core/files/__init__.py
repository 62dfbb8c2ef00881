"""Files of the service alone: one owner, one process at a time."""
