"""The state of this user's own server as one private file: taken while it runs, put back while it doesn't.

A tar of a SQLite file with a manifest. Versions before schema 0009 kept the steps of operations in a second file: one
that is there yet, since no newer server has run, is taken along, before the state. So an operation that goes on
meanwhile is at least as far in the state as in its steps: put back, it does again what has no record, which every step
can stand. The other way round it would pass over steps whose effects the state doesn't know.
"""

import io
import os
import secrets
import shutil
import sqlite3
import tarfile
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from tempfile import mkdtemp

import msgspec

from vendetta import __version__
from vendetta.errors import InvalidInput, NameTaken, NotFound, Unsupported
from vendetta.paths import operations_file

MANIFEST, STATE, OPERATIONS = "manifest.json", "state.db", "operations.db"
FORMAT = 1
_COMPANIONS = ("-wal", "-shm")


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """What a backup holds: `schema` of the state, `server_id` of its server, `version` of the program that wrote it."""

    format: int
    created_at: datetime
    version: str
    schema: str
    server_id: str
    nodes: int
    workspaces: int


def back_up(state_file: Path, target: Path) -> Manifest:
    """Write a backup of the state to `target`, also while the server runs, which goes on writing.

    Raises `NotFound` without a state, `NameTaken` where `target` exists, `InvalidInput` where it can't be written.
    """
    if not state_file.exists():
        raise NotFound(f"there is no state at {state_file}", hint="It is made when the server is first started.")
    if target.exists():
        raise NameTaken(f"{target} exists already", hint="Choose another file, or remove it.")
    with _explaining(f"write {target}"), _scratch(target.absolute().parent) as folder:
        files = {OPERATIONS: operations_file(state_file), STATE: state_file}
        for name, file in files.items():  # in this order: see above
            if file.exists():
                _copy(file, folder / name)
        manifest = _describe(folder / STATE)
        _pack(folder, manifest)
        # in place of nothing, also where somebody has made one since
        os.link(folder / "archive", target)
    return manifest


def read_manifest(source: Path) -> Manifest:
    """Return the manifest of a backup. Raises `NotFound`, `InvalidInput` for what is no archive of ours."""
    with _opened(source) as archive:
        return _manifest(archive, source)


def restore(source: Path, state_file: Path, *, newest_schema: str) -> Manifest:
    """Replace the state by that of a backup. No server may run; the caller holds the lock of the home.

    Raises `InvalidInput` for what is no archive of ours or is damaged, `Unsupported` for that of a newer program; then
    nothing has changed.
    """
    with _opened(source) as archive:
        manifest = _manifest(archive, source)
        if manifest.format > FORMAT or manifest.schema > newest_schema:
            raise Unsupported(
                f"{source} was written by a newer vendetta "
                f"({manifest.version}, schema {manifest.schema}; this one knows {newest_schema})",
                hint="Upgrade vendetta, and try again.",
            )
        state_file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with _explaining(f"write {state_file}"), _scratch(state_file.parent) as folder:
            for name in (OPERATIONS, STATE):
                _unpack(archive, name, folder / name, source)
            # steps of another state are none to go on from
            if not (folder / OPERATIONS).exists():
                _remove(operations_file(state_file))
            else:
                _replace(folder / OPERATIONS, operations_file(state_file))
            _replace(folder / STATE, state_file)
    return manifest


def _copy(file: Path, copy: Path) -> None:
    with closing(sqlite3.connect(f"{file.absolute().as_uri()}?mode=rw", uri=True)) as source:
        source.execute("PRAGMA busy_timeout=30000")
        with closing(sqlite3.connect(copy)) as target:
            # all pages in one go: what others write meanwhile is in the next one
            source.backup(target)


def _describe(state: Path) -> Manifest:
    with closing(sqlite3.connect(state)) as connection:

        def ask(query: str) -> str:
            return str(connection.execute(query).fetchone()[0])

        return Manifest(
            format=FORMAT,
            created_at=datetime.now(UTC),
            version=__version__,
            schema=ask("SELECT version_num FROM schema_version"),
            server_id=ask("SELECT value FROM properties WHERE name = 'server_id'"),
            nodes=int(ask("SELECT count(*) FROM nodes")),
            workspaces=int(ask("SELECT count(*) FROM workspaces")),
        )


def _pack(folder: Path, manifest: Manifest) -> None:
    path = folder / "archive"
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        with tarfile.open(fileobj=file, mode="w") as archive:
            content = msgspec.json.encode(manifest)
            entry = tarfile.TarInfo(MANIFEST)
            entry.size, entry.mode = len(content), 0o600
            archive.addfile(entry, io.BytesIO(content))
            for name in (STATE, OPERATIONS):
                if (folder / name).exists():
                    archive.add(folder / name, name)
        file.flush()
        os.fsync(file.fileno())


@contextmanager
def _opened(source: Path) -> Iterator[Mapping[str, "tuple[tarfile.TarFile, tarfile.TarInfo]"]]:
    """Open a backup; yield its members that are ours, by name."""
    try:
        with tarfile.open(source, "r:") as archive:
            yield {entry.name: (archive, entry) for entry in archive.getmembers() if entry.isfile()}
    except FileNotFoundError as exc:
        raise NotFound(f"there is no file {source}") from exc
    except (tarfile.TarError, IsADirectoryError) as exc:
        raise InvalidInput(f"{source} is no backup of ours, or it is damaged") from exc


Members = Mapping[str, tuple[tarfile.TarFile, tarfile.TarInfo]]


def _manifest(members: Members, source: Path) -> Manifest:
    try:
        archive, entry = members[MANIFEST]
        content = archive.extractfile(entry)
        return msgspec.json.decode(content.read() if content else b"", type=Manifest)
    except (KeyError, msgspec.DecodeError) as exc:
        raise InvalidInput(f"{source} is no backup of ours, or it is damaged") from exc


def _unpack(members: Members, name: str, path: Path, source: Path) -> None:
    """Unpack a member and check it, so that a damaged one replaces nothing."""
    if name not in members:
        if name == STATE:
            raise InvalidInput(f"{source} is no backup of ours, or it is damaged")
        return
    archive, entry = members[name]
    content = archive.extractfile(entry)
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        if content:
            shutil.copyfileobj(content, file)
        file.flush()
        os.fsync(file.fileno())
    try:
        with closing(sqlite3.connect(path)) as connection:
            sound = connection.execute("PRAGMA quick_check").fetchone()[0] == "ok"
    except sqlite3.DatabaseError:
        sound = False
    if not sound:
        raise InvalidInput(f"{source} is damaged: its {name} is no sound database")


def _replace(new: Path, old: Path) -> None:
    # what is left of an old one's log would be taken for the new one's
    for suffix in _COMPANIONS:
        _remove(old.with_name(old.name + suffix))
    os.replace(new, old)


def _remove(path: Path) -> None:
    with suppress(FileNotFoundError):
        path.unlink()


@contextmanager
def _scratch(beside: Path) -> Iterator[Path]:
    """Make a private folder on the same file system, removed in the end."""
    folder = Path(mkdtemp(prefix=f".vendetta-{secrets.token_hex(4)}-", dir=beside))
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


@contextmanager
def _explaining(what: str) -> Iterator[None]:
    try:
        yield
    except FileExistsError as exc:
        raise NameTaken(f"{exc.filename2 or exc.filename} exists already", hint="Choose another file.") from exc
    except (OSError, sqlite3.Error) as exc:
        reason = exc.strerror if isinstance(exc, OSError) else exc
        raise InvalidInput(f"can't {what}: {reason}", hint="Is there room, and may you write there?") from exc
