"""One noun a file: unpack, one call, return."""
