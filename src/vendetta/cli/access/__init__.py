"""`vendetta key` and `vendetta token`."""
