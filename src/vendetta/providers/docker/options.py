"""The options that Docker workspaces take, and where each goes in the container's configuration."""

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from vendetta.providers.options import Rule, Rules, argv, boolean, choice, matching, parse_options, path, text, words

_DEVICES = re.compile(r"device=([A-Za-z0-9:.-]+(,[A-Za-z0-9:.-]+)*)", re.ASCII)


def parse_gpus(text: str) -> list[dict[str, Any]]:
    """Read what `docker run --gpus` takes, into the Engine API's words. Raises `ValueError`."""
    request: dict[str, Any] = {"Driver": "", "Capabilities": [["gpu"]]}
    if text == "all":
        return [{**request, "Count": -1}]
    if text.isascii() and text.isdigit() and int(text) > 0:
        return [{**request, "Count": int(text)}]
    if match := _DEVICES.fullmatch(text):
        return [{**request, "DeviceIDs": match[1].split(",")}]
    raise ValueError('must be "all", how many, or which: "device=0,1"')


def mapped(description: str, values: Mapping[str, str]) -> Rule:
    """Build the rule of a choice whose values the engine has other words for."""
    chosen = choice(description, *values)
    return replace(chosen, parse=lambda text: values[chosen.parse(text)])


RULES: Rules = {
    "cap_add": words("capabilities to add, such as NET_ADMIN"),
    "cap_drop": words("capabilities to take away, such as ALL"),
    "entrypoint": argv("what runs instead of the image's entrypoint"),
    "gpus": Rule("the node's GPUs that it may use: all, how many, or device=ID,ID", parse_gpus),
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
    "platform": matching(
        "the platform of its image, where it has several: linux/arm64",
        r"[a-z0-9]+/[a-z0-9_]+(/[a-z0-9.]+)?",
        "an operating system and an architecture: linux/arm64",
    ),
    "privileged": boolean("every capability, and the node's devices"),
    "restart": choice("when the engine starts it again by itself", "no", "on-failure", "always", "unless-stopped"),
    "tty": boolean("its own command has a terminal"),
    "user": text("whom its command runs as"),
    # the engine knows "host", and no word for what it does else
    "userns": mapped(
        "whether root inside is the node's root, where the engine maps users", {"host": "host", "private": ""}
    ),
    "volumes": choice("what becomes of the volumes that were made for it when it is removed", "keep", "remove"),
    "working_dir": path("where its command runs"),
}

# `platform` and `volumes` have no place there
_PLACES: Mapping[str, tuple[str, ...]] = {
    "cap_add": ("HostConfig", "CapAdd"),
    "cap_drop": ("HostConfig", "CapDrop"),
    "entrypoint": ("Entrypoint",),
    "gpus": ("HostConfig", "DeviceRequests"),
    "hostname": ("Hostname",),
    "init": ("HostConfig", "Init"),
    "network": ("HostConfig", "NetworkMode"),
    "privileged": ("HostConfig", "Privileged"),
    "restart": ("HostConfig", "RestartPolicy", "Name"),
    "tty": ("Tty",),
    "user": ("User",),
    "userns": ("HostConfig", "UsernsMode"),
    "working_dir": ("WorkingDir",),
}


def check_options(options: Mapping[str, str]) -> None:
    """Raise `InvalidInput` that names the option, its value, and what would be right."""
    parse_options("docker", RULES, options)


def apply_options(config: dict[str, Any], options: Mapping[str, str]) -> None:
    """Put each option in its place in `config`, the body of a create request. Raises `InvalidInput`."""
    for name, value in parse_options("docker", RULES, options).items():
        if name not in _PLACES:
            continue
        *sections, key = _PLACES[name]
        place = config
        for section in sections:
            place = place.setdefault(section, {})
        place[key] = value
