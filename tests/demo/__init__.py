"""The demonstration that scripts/demo runs."""
