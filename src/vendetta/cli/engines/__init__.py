"""`vendetta image`, `vendetta provider` and `vendetta execute`."""
