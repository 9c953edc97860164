"""What keeps a workspace up when the image's own command ends: a few lines of shell around that command."""

from collections.abc import Sequence
from posixpath import basename

SHELL = "/bin/sh"

# `asked` passes a stop on to the command with the image's own stop signal. Without a `sleep` the loop ends rather
# than spins. A command in the background has no stdin and ignores INT unless it says otherwise.
SCRIPT = """\
signal=$1; shift; child=
asked() {
  if [ -n "$child" ]; then
    kill -s "$signal" "$child" 2>/dev/null || kill "$child" 2>/dev/null
    wait "$child"
  fi
  exit 0
}
trap asked TERM INT
if [ $# -gt 0 ]; then "$@" & child=$!; wait "$child"; child=; fi
while sleep 86400 & wait $!; do :; done
"""


def build_kept(argv: Sequence[str], stop_signal: str | None) -> list[str]:
    """Build the argv that runs `argv` (empty: nothing) and stays up after it."""
    return [SHELL, "-c", SCRIPT, "vendetta", (stop_signal or "SIGTERM").removeprefix("SIG"), *argv]


def needs_first_place(argv: Sequence[str]) -> bool:
    """Return whether `argv` is an init, which has to be process 1, and stays up by itself."""
    return bool(argv) and basename(argv[0]) in {"init", "systemd"}


def is_kept(entrypoint: Sequence[str] | None) -> bool:
    return entrypoint is not None and SCRIPT in entrypoint
