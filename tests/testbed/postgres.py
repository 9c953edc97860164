"""A PostgreSQL server of this machine's packages, for tests: private, without syncing, gone with its bed."""

import os
import secrets
import select
import shutil
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psycopg
from psycopg import sql

from .commands import run
from .keeper_client import KeeperClient
from .requirements import path_of

PATIENCE_SECONDS = 60.0
ACCOUNT = "postgres"
"""Who runs it: it refuses root. The package has made this account."""

CONFIG = """\
listen_addresses = '{host}'
port = {port}
unix_socket_directories = ''
max_connections = 200
shared_buffers = 32MB
fsync = off
full_page_writes = off
autovacuum = off
# what a killed server leaves of the other kinds outlives its folder
dynamic_shared_memory_type = mmap
"""
ACCESS = "host all all samehost scram-sha-256\n"


class Postgres:
    """Reached from this machine alone. Made by `TestBed.postgres`; may be stopped and started again by a test."""

    def __init__(self, directory: Path, keeper: KeeperClient, host: str, port: int) -> None:
        self.host, self.port = host, port
        self.password = secrets.token_hex(8)
        self._keeper = keeper
        self._data = directory / "data"
        self._log = directory / "postgres.log"
        self._pid: int | None = None
        directory.mkdir(mode=0o700)
        secret = directory / "password"
        secret.write_text(self.password)
        for path in (directory, secret):
            shutil.chown(path, ACCOUNT, ACCOUNT)
        options = ["--no-sync", "--no-instructions", "--encoding=UTF8", "--locale=C.UTF-8", "--auth=scram-sha-256"]
        run([*as_account(), path_of("initdb"), *options, f"--pwfile={secret}", f"--pgdata={self._data}"])
        (self._data / "postgresql.conf").write_text(CONFIG.format(host=host, port=port))
        (self._data / "pg_hba.conf").write_text(ACCESS)
        self.start()
        with self._administration() as connection:
            # who owns a database, and may make none: no more is needed of a server's user
            connection.execute(sql.SQL("CREATE ROLE vendetta LOGIN PASSWORD {}").format(self.password))

    @property
    def pid(self) -> int:
        """Raises `RuntimeError` while it is stopped."""
        if self._pid is None:
            raise RuntimeError("this PostgreSQL is not up")
        return self._pid

    def start(self) -> None:
        """Returns once it takes connections."""
        # a namespace of its own, so that the memory segment of a killed server goes with it
        argv = ["unshare", "--ipc", *as_account("--pdeathsig", "KILL"), path_of("postgres"), "-D", str(self._data)]
        self._pid = self._keeper.start(argv, self._log)
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            try:
                with self._administration():
                    return
            except psycopg.OperationalError as exc:
                if time.monotonic() > deadline:
                    raise RuntimeError(f"PostgreSQL did not start:\n{self._log.read_text()[-2000:]}") from exc
                time.sleep(0.02)

    def stop(self) -> None:
        """As an outage is: connections are cut at once. Returns once it is gone."""
        self.resume()
        watched = os.pidfd_open(self.pid)
        try:
            signal.pidfd_send_signal(watched, signal.SIGQUIT)
            if not select.select([watched], [], [], PATIENCE_SECONDS)[0]:
                raise RuntimeError("PostgreSQL did not stop")
        finally:
            os.close(watched)
        self._pid = None

    def pause(self) -> None:
        """As a machine that hangs: connections stand, and nobody answers. Ended by `resume`, or by `stop`."""
        self._signal_all(signal.SIGSTOP)

    def resume(self) -> None:
        self._signal_all(signal.SIGCONT)

    def create_database(self, *, template: str | None = None) -> str:
        """A new database that the user `vendetta` owns; returns its URL. `template` is the URL of one to copy."""
        name = f"test_{secrets.token_hex(6)}"
        query = sql.SQL("CREATE DATABASE {} OWNER vendetta TEMPLATE {}").format(
            sql.Identifier(name), sql.Identifier(name_of(template) if template else "template0")
        )
        with self._administration() as connection:
            connection.execute(query)
        return f"postgresql://vendetta:{self.password}@{self.host}:{self.port}/{name}"

    def drop_database(self, url: str) -> None:
        """Whoever is still connected is cut off."""
        with self._administration() as connection:
            connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name_of(url))))

    def _signal_all(self, number: signal.Signals) -> None:
        children = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split()
        for pid in (self.pid, *map(int, children)):
            with suppress(ProcessLookupError):
                os.kill(pid, number)

    @contextmanager
    def _administration(self) -> Iterator[psycopg.Connection]:
        with psycopg.connect(
            host=self.host, port=self.port, user=ACCOUNT, password=self.password, dbname="postgres", autocommit=True
        ) as connection:
            yield connection


def as_account(*options: str) -> list[str]:
    return ["setpriv", f"--reuid={ACCOUNT}", f"--regid={ACCOUNT}", "--clear-groups", *options]


def name_of(url: str) -> str:
    return url.rpartition("/")[2]
