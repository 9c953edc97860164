"""`vendetta server` and `vendetta config`."""
