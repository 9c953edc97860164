"""The options that Docker workspaces take, and where each goes in the container's configuration."""

from collections.abc import Mapping
from typing import Any

from vendetta.providers.options import Rules, argv, boolean, choice, matching, parse_options, path, text, words

RULES: Rules = {
    "cap_add": words("capabilities to add, such as NET_ADMIN"),
    "cap_drop": words("capabilities to take away, such as ALL"),
    "entrypoint": argv("what runs instead of the image's entrypoint"),
    "hostname": matching(
        "the host name inside; without it the workspace's",
        r"[A-Za-z0-9]([A-Za-z0-9.-]{0,61}[A-Za-z0-9])?",
        "a host name",
    ),
    "init": boolean("a small init as the first process, which collects orphans"),
    # "container:ID" would put it into somebody else's container.
    "network": matching(
        "bridge, host, none or a network of the engine",
        r"[A-Za-z0-9][A-Za-z0-9_.-]*",
        "bridge, host, none or the name of a network",
    ),
    "privileged": boolean("every capability, and the node's devices"),
    "restart": choice("when the engine starts it again by itself", "no", "on-failure", "always", "unless-stopped"),
    "tty": boolean("its own command has a terminal"),
    "user": text("whom its command runs as"),
    "working_dir": path("where its command runs"),
}

_PLACES: Mapping[str, tuple[str, ...]] = {
    "cap_add": ("HostConfig", "CapAdd"),
    "cap_drop": ("HostConfig", "CapDrop"),
    "entrypoint": ("Entrypoint",),
    "hostname": ("Hostname",),
    "init": ("HostConfig", "Init"),
    "network": ("HostConfig", "NetworkMode"),
    "privileged": ("HostConfig", "Privileged"),
    "restart": ("HostConfig", "RestartPolicy", "Name"),
    "tty": ("Tty",),
    "user": ("User",),
    "working_dir": ("WorkingDir",),
}


def check_options(options: Mapping[str, str]) -> None:
    """Raises `InvalidInput` that names the option, its value, and what would be right."""
    parse_options("docker", RULES, options)


def apply_options(config: dict[str, Any], options: Mapping[str, str]) -> None:
    """Puts each option in its place in `config`, the body of a create request. Raises `InvalidInput`."""
    for name, value in parse_options("docker", RULES, options).items():
        *sections, key = _PLACES[name]
        place = config
        for section in sections:
            place = place.setdefault(section, {})
        place[key] = value
