"""Trees of this machine as tar streams, and tar streams as trees of it."""

import os
import tarfile
import threading
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path, PurePosixPath
from typing import IO

from vendetta.errors import InvalidInput, VendettaError

PIECE_BYTES = 256 * 1024

OnBytes = Callable[[int], None]
"""Hears how many more bytes went by."""


def tree_size(path: Path) -> int:
    """Bytes of all its files."""
    if path.is_symlink() or not path.is_dir():
        return path.lstat().st_size
    return sum((Path(folder) / file).lstat().st_size for folder, _, files in os.walk(path) for file in files)


def pack(path: Path, name: str, skips: Callable[[str], bool] | None = None) -> Iterator[bytes]:
    """A tar of the file or tree, called `name` there. Raises `InvalidInput` for what can't be read.

    `skips` is asked for each file by its name whether it stays out.
    """
    reading, writing = os.pipe()
    failures: list[BaseException] = []

    def keep(member: tarfile.TarInfo) -> tarfile.TarInfo | None:
        # folders always: something below may be wanted
        return None if skips and not member.isdir() and skips(member.name) else member

    def write() -> None:
        # the pipe is closed whatever happens, or the reader would wait for ever
        try:
            with open(writing, "wb") as out, tarfile.open(fileobj=out, mode="w|", format=tarfile.PAX_FORMAT) as tar:
                tar.add(path, arcname=name, filter=keep)
        except BrokenPipeError:
            return  # the reader stopped
        except BaseException as exc:
            failures.append(exc)

    writer = threading.Thread(target=write, daemon=True)
    writer.start()
    with open(reading, "rb", buffering=0) as source:
        while piece := source.read(PIECE_BYTES):
            yield piece
    writer.join()
    if failures:
        raise InvalidInput(f"can't read {path}: {failures[0]}") from failures[0]


def counted(pieces: Iterable[bytes], on_bytes: OnBytes) -> Iterator[bytes]:
    for piece in pieces:
        yield piece
        on_bytes(len(piece))


class Reader:
    """Pieces as a file to read from."""

    def __init__(self, pieces: Iterator[bytes], on_bytes: OnBytes) -> None:
        self._pieces = pieces
        self._on_bytes = on_bytes
        self._rest = b""

    def read(self, size: int) -> bytes:
        while len(self._rest) < size:
            piece = next(self._pieces, None)
            if piece is None:
                break
            self._on_bytes(len(piece))
            self._rest += piece
        data, self._rest = self._rest[:size], self._rest[size:]
        return data


def unpack(pieces: Iterable[bytes], directory: Path, name: str, on_bytes: OnBytes) -> None:
    """What the tar holds under one name, put into `directory` under `name`: nothing is written anywhere else.

    Links are made last, so that no file is written through one that came along. Owners, devices and pipes are not
    taken over. Raises `InvalidInput` for an archive that wants out of the directory.
    """
    links: list[tuple[Path, tarfile.TarInfo]] = []
    folders: list[tuple[Path, int]] = []
    reader: IO[bytes] = Reader(iter(pieces), on_bytes)  # type: ignore[assignment]
    try:
        with tarfile.open(fileobj=reader, mode="r|") as tar:
            for member in tar:
                target = directory.joinpath(name, *_below(member.name))
                if member.isdir():
                    target.mkdir(parents=True, exist_ok=True)
                    folders.append((target, member.mode))
                elif member.isfile():
                    _write(tar, member, target)
                elif member.issym() or member.islnk():
                    links.append((target, member))
        for target, member in links:
            _link(target, member, directory / name)
        for target, mode in reversed(folders):
            target.chmod(mode & 0o777)
    except tarfile.TarError as exc:
        raise VendettaError(f"can't read what the workspace sent: {exc}") from exc
    except OSError as exc:
        raise InvalidInput(f"can't write {exc.filename or directory}: {exc.strerror}") from exc


def _below(path: str) -> tuple[str, ...]:
    """The parts below the first one, which is the name of what was asked for."""
    parts = PurePosixPath(path).parts
    if path.startswith("/") or ".." in parts:
        raise InvalidInput(f'the archive holds "{path}", which is outside of what was asked for')
    return parts[1:]


def _write(tar: tarfile.TarFile, member: tarfile.TarInfo, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    if target.is_symlink():
        target.unlink()
    source = tar.extractfile(member)
    with target.open("wb") as out:
        while source is not None and (piece := source.read(PIECE_BYTES)):
            out.write(piece)
    target.chmod(member.mode & 0o777)
    os.utime(target, (member.mtime, member.mtime))


def _link(target: Path, member: tarfile.TarInfo, root: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    if target.is_symlink() or target.is_file():
        target.unlink()
    if member.issym():
        target.symlink_to(member.linkname)
    else:
        os.link(root.joinpath(*_below(member.linkname)), target, follow_symlinks=False)
