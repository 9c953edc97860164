"""The options that LXC workspaces take, whichever back end serves them, and what a spec may not say on any."""

import re
from typing import Any

from vendetta.errors import InvalidInput
from vendetta.models import InstanceSpec
from vendetta.providers.options import Rule, Rules, boolean, check_fields, choice, matching, parse_options

_NAME = r"[A-Za-z0-9][A-Za-z0-9_.-]{0,62}"
_VOLUME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*", re.ASCII)
_VARIABLE = re.compile(r"[^=\0]+")


def _names(description: str) -> Rule:
    def parse(text: str) -> list[str]:
        found = [name.strip() for name in text.split(",")]
        if not all(re.fullmatch(_NAME, name, re.ASCII) for name in found):
            raise ValueError("must be names with commas between them")
        return found

    return Rule(description, parse, "names")


RULES: Rules = {
    "autostart": boolean("it is started with the node"),
    "nesting": boolean("containers can be run in it"),
    "network": matching("the network or bridge it is on; without it the default's", _NAME, "the name of a network"),
    "pool": matching("the storage pool of its disk (Incus, LXD)", _NAME, "the name of a storage pool"),
    "privileged": boolean("its root is the node's root"),
    "profiles": _names("profiles in place of `default` (Incus, LXD), with commas between them"),
    "project": matching("the project that it is made in (Incus, LXD)", _NAME, "the name of a project"),
    "type": choice("a system container, or a virtual machine (Incus, LXD)", "container", "vm"),
}

LACKS = {"command": "a system container runs its own init, not a command: run it by exec, or use docker for it"}


def check_spec(spec: InstanceSpec) -> None:
    """Raise `InvalidInput` for what no back end can take."""
    parse(spec)
    check_fields(LACKS, spec)
    for mount in spec.mounts:
        if not mount.source.startswith("/") and not _VOLUME.fullmatch(mount.source):
            raise InvalidInput(
                f'mounts: source "{mount.source}" is neither an absolute path nor the name of a volume',
                hint="A volume's name has letters, digits, dots, hyphens and underscores.",
            )
        if not mount.target.startswith("/"):
            raise InvalidInput(f'mounts: target "{mount.target}" is not an absolute path')
    for variable, value in spec.env.items():
        if not _VARIABLE.fullmatch(variable) or "\0" in value:
            raise InvalidInput(f'env: "{variable}" can\'t be an environment variable')


def parse(spec: InstanceSpec) -> dict[str, Any]:
    """Return the values of the options, by name. Raises `InvalidInput`."""
    return parse_options("lxc", RULES, spec.options)
