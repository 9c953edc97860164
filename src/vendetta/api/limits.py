"""How many files the server may have open: each connection, each caller and each database takes some."""

import resource


def raise_file_limit() -> None:
    """As far as it may go by itself: the usual soft limit, for programs that use select(2), is 1024."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
