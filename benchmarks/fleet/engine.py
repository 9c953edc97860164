"""A Docker Engine that answers from memory: what the product asks of one, and no more."""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from urllib.parse import parse_qs, unquote

import msgspec

from .containers import EXITED, LAST_WORDS, RUNNING, Container

VERSION = {"Version": "20.10.24", "ApiVersion": "1.41", "MinAPIVersion": "1.12", "Os": "linux", "Arch": "amd64"}
INFO = {"ServerVersion": "20.10.24", "OSType": "linux", "Driver": "overlay2", "SecurityOptions": [], "Warnings": None}
IMAGE = {
    "Id": f"sha256:{'0' * 64}",
    "RepoTags": ["busybox:latest"],
    "Created": "2026-01-01T00:00:00Z",
    "Size": 4_000_000,
    "Os": "linux",
    "Architecture": "amd64",
    "Labels": None,
    "Config": {"Cmd": ["sh"], "Entrypoint": None, "Labels": None, "Env": []},
}
KILLED = 137

Answer = tuple[int, bytes]
"""Status and body."""
Watcher = Callable[[bytes], None]
"""Takes a line of the stream of events."""
Query = Mapping[str, Sequence[str]]


class Engine:
    """Of one node; `subnet` begins the addresses of its containers (`10.1.2`)."""

    def __init__(self, subnet: str) -> None:
        self._subnet = subnet
        self._containers: dict[str, Container] = {}
        self._made = 0
        self.watchers: set[Watcher] = set()

    def answer(self, method: str, target: str, body: bytes) -> Answer:
        """For everything but the stream of events."""
        path, _, query = target.partition("?")
        _, path = split_version(path)
        for verb, pattern, act in ROUTES:
            if verb == method and (match := pattern.fullmatch(path)):
                return act(self, [unquote(group) for group in match.groups()], parse_qs(query), body)
        return refuse(404, f"page not found: {method} {path}")

    def add(self, name: str, config: Mapping[str, Any], status: str) -> Container:
        self._made += 1
        container = Container(name, config, f"{self._subnet}.{self._made % 250 + 2}", status=status)
        self._containers[name] = container
        return container

    def end(self, name: str, exit_code: int) -> None:
        """As if its program had ended by itself."""
        container = self._containers[name]
        container.status, container.exit_code = EXITED, exit_code
        self._tell(container, "die")

    def _find(self, reference: str) -> Container | None:
        """By name or id."""
        found = self._containers.get(reference)
        return found or next((one for one in self._containers.values() if one.id == reference), None)

    def _tell(self, container: Container, action: str) -> None:
        line = msgspec.json.encode(container.event(action)) + b"\n"
        for watcher in list(self.watchers):
            watcher(line)

    # the routes

    def _list(self, _: Sequence[str], query: Query, __: bytes) -> Answer:
        wanted = msgspec.json.decode(query.get("filters", ["{}"])[0], type=dict[str, Any]).get("label", [])
        return show([one.summarize() for one in self._containers.values() if has_labels(one, wanted)])

    def _inspect(self, words: Sequence[str], _: Query, __: bytes) -> Answer:
        container = self._find(words[0])
        return show(container.inspect()) if container else absent(words[0])

    def _create(self, _: Sequence[str], query: Query, body: bytes) -> Answer:
        name = query["name"][0]
        if name in self._containers:
            return refuse(409, f'Conflict. The container name "/{name}" is already in use by container "0".')
        container = self.add(name, msgspec.json.decode(body, type=dict[str, Any]), "created")
        self._tell(container, "create")
        return show({"Id": container.id, "Warnings": []}, 201)

    def _start(self, words: Sequence[str], _: Query, __: bytes) -> Answer:
        container = self._find(words[0])
        if container is None:
            return absent(words[0])
        if container.status == RUNNING:
            return 304, b""
        container.status, container.exit_code = RUNNING, 0
        self._tell(container, "start")
        return 204, b""

    def _stop(self, words: Sequence[str], _: Query, __: bytes) -> Answer:
        container = self._find(words[0])
        if container is None:
            return absent(words[0])
        if container.status != RUNNING:
            return 304, b""
        container.status, container.exit_code = EXITED, KILLED
        self._tell(container, "die")
        return 204, b""

    def _remove(self, words: Sequence[str], query: Query, _: bytes) -> Answer:
        container = self._find(words[0])
        if container is None:
            return absent(words[0])
        if container.status == RUNNING and query.get("force", ["0"])[0].lower() not in {"1", "true"}:
            return refuse(409, f"You cannot remove a running container {container.id}.")
        del self._containers[container.name]
        self._tell(container, "destroy")
        return 204, b""

    def _logs(self, words: Sequence[str], _: Query, __: bytes) -> Answer:
        # stdout's frame: its number, three zeros, the length
        return (200, b"\x01\0\0\0" + len(LAST_WORDS).to_bytes(4, "big") + LAST_WORDS)

    def _archive(self, words: Sequence[str], _: Query, __: bytes) -> Answer:
        return (200, b"") if self._find(words[0]) else absent(words[0])

    def _image(self, words: Sequence[str], _: Query, __: bytes) -> Answer:
        if words[0].removesuffix(":latest") == "busybox":
            return show(IMAGE)
        return refuse(404, f"No such image: {words[0]}")


def split_version(path: str) -> tuple[str, str]:
    """`("v1.41", "/info")` of `/v1.41/info`; without a version: `("", "/info")`."""
    match = re.fullmatch(r"/(v[\d.]+)(/.*)", path)
    return (match[1], match[2]) if match else ("", path)


def has_labels(container: Container, wanted: Sequence[str]) -> bool:
    """`wanted` are `KEY` and `KEY=VALUE`."""
    pairs = (label.partition("=") for label in wanted)
    return all(key in container.labels and (not eq or container.labels[key] == value) for key, eq, value in pairs)


def show(value: object, status: int = 200) -> Answer:
    return status, msgspec.json.encode(value)


def refuse(status: int, message: str) -> Answer:
    return show({"message": message}, status)


def absent(reference: str) -> Answer:
    return refuse(404, f"No such container: {reference}")


def _fixed(value: object) -> Callable[[Engine, Sequence[str], Query, bytes], Answer]:
    answer = show(value)
    return lambda *_: answer


ROUTES: Sequence[tuple[str, re.Pattern[str], Callable[[Engine, Sequence[str], Query, bytes], Answer]]] = [
    (method, re.compile(pattern), act)
    for method, pattern, act in (
        ("GET", r"/containers/json", Engine._list),
        ("GET", r"/containers/([^/]+)/json", Engine._inspect),
        ("POST", r"/containers/create", Engine._create),
        ("POST", r"/containers/([^/]+)/start", Engine._start),
        ("POST", r"/containers/([^/]+)/stop", Engine._stop),
        ("DELETE", r"/containers/([^/]+)", Engine._remove),
        ("GET", r"/containers/([^/]+)/logs", Engine._logs),
        ("HEAD", r"/containers/([^/]+)/archive", Engine._archive),
        ("GET", r"/images/json", _fixed([])),
        ("GET", r"/images/(.+)/json", Engine._image),
        ("GET", r"/volumes", _fixed({"Volumes": [], "Warnings": None})),
        ("GET", r"/version", _fixed(VERSION)),
        ("GET", r"/info", _fixed(INFO)),
        ("GET", r"/_ping", _fixed("OK")),
    )
]
