"""The options that Docker workspaces take: how each is written, and where it goes in the container's configuration."""

import re
import shlex
from collections.abc import Callable, Mapping
from typing import Any

from vendetta.errors import InvalidInput, nearest


def check_options(options: Mapping[str, str]) -> None:
    """Raises `InvalidInput` that names the option, its value, and what would be right."""
    parse_options(options)


def parse_options(options: Mapping[str, str]) -> dict[str, Any]:
    """The values as the Engine API takes them, by option. Raises `InvalidInput`."""
    parsed = {}
    for name, text in options.items():
        if name not in OPTIONS:
            raise InvalidInput(
                f"options.{name}: unknown option.{nearest(name, OPTIONS)}",
                hint=f"Options of docker: {', '.join(sorted(OPTIONS))}.",
            )
        try:
            parsed[name] = OPTIONS[name][0](text)
        except ValueError as exc:
            raise InvalidInput(f"options.{name}: {text!r} {exc}") from exc
    return parsed


def apply_options(config: dict[str, Any], options: Mapping[str, str]) -> None:
    """Puts each option in its place in `config`, the body of a create request."""
    for name, value in parse_options(options).items():
        *sections, key = OPTIONS[name][1]
        place = config
        for section in sections:
            place = place.setdefault(section, {})
        place[key] = value


def _text(text: str) -> str:
    if not text or not text.isprintable():
        raise ValueError("must be some text")
    return text


def _boolean(text: str) -> bool:
    if text not in {"true", "false"}:
        raise ValueError('must be "true" or "false"')
    return text == "true"


def _path(text: str) -> str:
    if not text.startswith("/"):
        raise ValueError("must be an absolute path")
    return text


def _hostname(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9]([A-Za-z0-9.-]{0,61}[A-Za-z0-9])?", text):
        raise ValueError("must be a host name")
    return text


def _network(text: str) -> str:
    # "container:ID" would put it into somebody else's container.
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]*", text):
        raise ValueError("must be bridge, host, none or the name of a network")
    return text


def _restart(text: str) -> dict[str, str]:
    policies = ("no", "on-failure", "always", "unless-stopped")
    if text not in policies:
        raise ValueError(f"must be one of {', '.join(policies)}")
    return {"Name": text}


def _argv(text: str) -> list[str]:
    argv = shlex.split(text)
    if not argv:
        raise ValueError("must name a program")
    return argv


def _words(text: str) -> list[str]:
    words = text.replace(",", " ").split()
    if not all(re.fullmatch(r"[A-Za-z_]+", word) for word in words) or not words:
        raise ValueError("must be names with commas between them")
    return words


OPTIONS: Mapping[str, tuple[Callable[[str], Any], tuple[str, ...]]] = {
    "cap_add": (_words, ("HostConfig", "CapAdd")),
    "cap_drop": (_words, ("HostConfig", "CapDrop")),
    "entrypoint": (_argv, ("Entrypoint",)),
    "hostname": (_hostname, ("Hostname",)),
    "init": (_boolean, ("HostConfig", "Init")),
    "network": (_network, ("HostConfig", "NetworkMode")),
    "privileged": (_boolean, ("HostConfig", "Privileged")),
    "restart": (_restart, ("HostConfig", "RestartPolicy")),
    "tty": (_boolean, ("Tty",)),
    "user": (_text, ("User",)),
    "working_dir": (_path, ("WorkingDir",)),
}
