"""The exit statuses: one table from error class to status, and the few that no error stands for."""

from vendetta.errors import (
    AuthFailed,
    Conflict,
    DeadlineExceeded,
    EngineForbidden,
    Forbidden,
    ForwardingRefused,
    HostKeyChanged,
    HostKeyUnknown,
    InvalidInput,
    LinkError,
    LinkTimeout,
    NotFound,
    ServerUnavailable,
    Unauthorized,
    VendettaError,
)

DONE = 0
FAILED = 1
USAGE = 2
INTERRUPTED = 130
TERMINATED = 143
BROKEN_PIPE = 141

_STATUSES: dict[type[VendettaError], int] = {
    VendettaError: FAILED,
    InvalidInput: USAGE,
    NotFound: 3,
    Conflict: 4,
    LinkError: 5,
    ServerUnavailable: 5,
    AuthFailed: 6,
    EngineForbidden: 6,
    Forbidden: 6,
    ForwardingRefused: 6,
    HostKeyChanged: 6,
    HostKeyUnknown: 6,
    Unauthorized: 6,
    DeadlineExceeded: 7,
    LinkTimeout: 7,
}


def exit_status(error: VendettaError) -> int:
    """Return the exit status of the error's class, or of the nearest class above it."""
    return next(_STATUSES[cls] for cls in type(error).__mro__ if cls in _STATUSES)
