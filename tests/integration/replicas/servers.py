"""Servers on one PostgreSQL, each a process with a home of its own; and what the database saw of each."""

import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit

import httpx
import psycopg
from tests.e2e.harness import PATIENCE_SECONDS, Vendetta, fresh_vendetta

from vendetta.models import Event, ServerStatus

T = TypeVar("T")

TICK_SECONDS = 0.05

WRITES = """
CREATE TABLE writes (program text, kind text, node text, watcher text);
CREATE FUNCTION note_node() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
  IF NEW.watcher IS NOT DISTINCT FROM OLD.watcher AND NEW.term = OLD.term THEN
    INSERT INTO writes VALUES (current_setting('application_name'), 'node', NEW.name, NEW.watcher);
  END IF;
  RETURN NEW;
END $$;
CREATE FUNCTION note_event() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
  INSERT INTO writes SELECT current_setting('application_name'), NEW.kind, name, watcher FROM nodes
    WHERE name = NEW.subject AND NEW.actor = 'server';
  RETURN NEW;
END $$;
CREATE FUNCTION note_operation() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
  IF NEW.holder IS NOT DISTINCT FROM OLD.holder THEN
    INSERT INTO writes SELECT
      current_setting('application_name'), 'operation', NEW.id, split_part(NEW.holder, '/', 1);
  END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER note_operation BEFORE UPDATE ON operations FOR EACH ROW EXECUTE FUNCTION note_operation();
CREATE TRIGGER note_node BEFORE UPDATE ON nodes FOR EACH ROW EXECUTE FUNCTION note_node();
CREATE TRIGGER note_event BEFORE INSERT ON events FOR EACH ROW EXECUTE FUNCTION note_event();
"""
"""Who wrote what of a node or an operation, and whose that was at that moment."""


@dataclass
class Server:
    """One replica. `name` is what PostgreSQL knows it by."""

    name: str
    vendetta: Vendetta
    pid: int = 0
    id: str = ""

    def start(self) -> None:
        status: dict[str, str] = self.vendetta.json("server", "start")
        self.pid, self.id = int(status["pid"]), status["replica"]

    def stop(self) -> None:
        self.vendetta("server", "stop")

    def kill(self) -> None:
        self.vendetta.kill_server(self.pid)

    @contextmanager
    def paused(self) -> Iterator[None]:
        """It does nothing at all for as long as the block lasts."""
        os.kill(self.pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(self.pid, signal.SIGCONT)

    def status(self) -> ServerStatus:
        with self.vendetta.client() as client:
            return client.status()

    def held(self) -> dict[str, int]:
        """How many nodes each replica watches, by the id of those that live."""
        return {each.id: each.nodes for each in self.status().replicas}

    def connected(self) -> int:
        """How many nodes it is connected to itself."""
        return self.status().connections

    @property
    def socket(self) -> Path:
        return self.vendetta.home / "v" / "server.sock"

    def transport(self) -> httpx.HTTPTransport:
        return httpx.HTTPTransport(uds=str(self.socket))

    def log(self) -> str:
        return (self.vendetta.home / "v" / "server.log").read_text()

    def statuses(self) -> set[str]:
        """Of all nodes."""
        with self.vendetta.client() as client:
            return {node.status for node in client.nodes.list()}

    def events(self, since: int) -> list[Event]:
        with self.vendetta.client() as client:
            return client.events.list(since=since)


class Relay:
    """Carries TCP to PostgreSQL for one server, until it is cut."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        assert parts.hostname
        assert parts.port
        self._target = (parts.hostname, parts.port)
        self._lock = threading.Lock()
        self._open: list[socket.socket] = []
        self._listening = socket.create_server(("127.0.0.1", 0))
        self._whole = True
        port = self._listening.getsockname()[1]
        self.url = parts._replace(
            netloc=parts.netloc.replace(f"{parts.hostname}:{parts.port}", f"127.0.0.1:{port}")
        ).geturl()
        threading.Thread(target=self._serve, daemon=True).start()

    def cut(self) -> None:
        """What is connected is hung up on, and so is everybody who tries again."""
        with self._lock:
            self._whole = False
            hang_up(self._open)

    def mend(self) -> None:
        with self._lock:
            self._whole = True

    def close(self) -> None:
        self._listening.close()
        self.cut()

    def _serve(self) -> None:
        while True:
            try:
                near, _ = self._listening.accept()
            except OSError:
                return
            with self._lock:
                if not self._whole:
                    near.close()
                    continue
                far = socket.create_connection(self._target)
                self._open += [near, far]
            carry_both_ways(near, far)


def hang_up(sockets: list[socket.socket]) -> None:
    """On all of them, whoever reads there; the list is empty then."""
    for sock in sockets:
        with suppress(OSError):
            sock.shutdown(socket.SHUT_RDWR)
    sockets.clear()


def carry_both_ways(near: socket.socket, far: socket.socket) -> None:
    """By threads of their own, until either side ends."""
    for source, sink in ((near, far), (far, near)):
        threading.Thread(target=_carry, args=(source, sink), daemon=True).start()


def _carry(source: socket.socket, sink: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(65536):
            sink.sendall(data)
    for sock in (source, sink):
        with suppress(OSError):
            sock.shutdown(socket.SHUT_RDWR)
        sock.close()


@contextmanager
def running_server(name: str, url: str, **environment: str) -> Iterator[Server]:
    """Started, and stopped in the end if it still runs."""
    with fresh_vendetta(VENDETTA_STATE_FILE=f"{url}?application_name={name}", **environment) as vendetta:
        server = Server(name, vendetta)
        server.start()
        yield server


def wait_until(tell: Callable[[], T], right: Callable[[T], bool], seconds: float = PATIENCE_SECONDS) -> T:
    """What it tells once that is right."""
    deadline = time.monotonic() + seconds
    while not right(told := tell()):
        assert time.monotonic() < deadline, f"still {told}"
        time.sleep(TICK_SECONDS)
    return told


def wait_for_events(server: Server, since: int, wanted: set[tuple[str, str]]) -> None:
    """Each pair of kind and subject, in any order, whichever server wrote it."""

    def missing() -> set[tuple[str, str]]:
        return wanted - {(event.kind, event.subject) for event in server.events(since)}

    wait_until(missing, lambda missing: not missing)


def note_writes(url: str) -> None:
    with psycopg.connect(url) as connection:
        connection.execute(WRITES.encode())


def writes_of_others(url: str, server: Server) -> list[tuple[str, ...]]:
    """What it wrote of nodes and operations that weren't its own at that moment."""
    query = "SELECT kind, node, watcher FROM writes WHERE program = %s AND watcher IS DISTINCT FROM %s"
    with psycopg.connect(url) as connection:
        return connection.execute(query, (server.name, server.id)).fetchall()
