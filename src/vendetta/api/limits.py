"""How many files the server may have open, and how many of them may be connections to nodes."""

import resource

PART_OF_FILES = 3 / 4
"""The rest is for callers, databases, logs and forwarded ports."""
MOST_CONNECTIONS = 20_000
"""Where files are hardly limited it is memory that is: some 100 KiB a connection."""


def raise_file_limit() -> None:
    """Raise the limit of open files as far as it may go: the usual soft one, for programs of select(2), is 1024."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def count_connections() -> int:
    """Return how many connections this process may hold at once, by its limit of open files: each takes one."""
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if files == resource.RLIM_INFINITY:
        return MOST_CONNECTIONS
    return max(1, min(MOST_CONNECTIONS, int(files * PART_OF_FILES)))
