"""Write files that must be whole or absent, and never readable by others, not even for a moment."""

import os
import stat
import tempfile
from pathlib import Path

from vendetta.errors import Forbidden

Version = tuple[int, int, int] | None


def write_private(path: Path, data: bytes, *, mode: int = 0o600, replace: bool = True) -> None:
    """Write the file beside `path` and move it into place, in a folder of mode 0700.

    Raises `FileExistsError` if the file exists and `replace` is false.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
    try:
        with os.fdopen(descriptor, "wb") as file:
            os.fchmod(descriptor, mode)
            file.write(data)
            file.flush()
            os.fsync(descriptor)
        if replace:
            os.replace(temporary, path)
        else:
            os.link(temporary, path)  # unlike a rename, it never takes another file's place
    finally:
        Path(temporary).unlink(missing_ok=True)


def version(path: Path) -> Version:
    """Return a value that differs once the file has changed; None if the file can't be seen."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino


def check_private(path: Path) -> None:
    """Raise `Forbidden` if others than its owner may use the private key at `path`."""
    mode = stat.S_IMODE(path.stat().st_mode)
    if mode & 0o077:
        raise Forbidden(f"others may read the private key {path} (mode {mode:04o})", hint=f"Mend it: chmod 600 {path}")


def check_private_folder(path: Path) -> None:
    """Raise `Forbidden` if others than its owner may use this folder of private keys. An absent folder is no error."""
    if path.is_dir() and (mode := stat.S_IMODE(path.stat().st_mode)) & 0o077:
        raise Forbidden(
            f"others may use the folder of keys {path} (mode {mode:04o})", hint=f"Mend it: chmod 700 {path}"
        )
