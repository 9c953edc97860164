"""`vendetta operation` and `vendetta events`."""
