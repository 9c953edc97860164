"""Running a program of this machine, as a bed does it: with a path of its own, and failures that say why."""

import subprocess
from collections.abc import Sequence

from .requirements import SYSTEM_PATH

ENVIRONMENT = {"PATH": SYSTEM_PATH, "HOME": "/root", "LANG": "C.UTF-8"}


def run(argv: Sequence[str], *, input: str | None = None, check: bool = True) -> "subprocess.CompletedProcess[str]":
    """What it said on standard error is part of the traceback when it fails."""
    stdin = subprocess.DEVNULL if input is None else None
    done = subprocess.run(argv, stdin=stdin, input=input, capture_output=True, text=True, env=ENVIRONMENT, check=False)
    if check:
        try:
            done.check_returncode()
        except subprocess.CalledProcessError as exc:
            exc.add_note(done.stderr)
            raise
    return done
