"""The files that make a node a machine of its own: users, SSH server, Docker Engine, all below its `fs/etc`.

The machine's own /etc is copied, never written.
"""

import base64
import hashlib
import json
import shlex
import shutil
import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

USER = "dev"
UID = 4242


def copy_etc(target: Path) -> None:
    """A copy of the machine's /etc, without its SSH host keys, drop-ins and name servers."""
    subprocess.run(["cp", "-a", "--no-target-directory", "/etc", str(target)], check=True)
    for path in (target / "ssh").glob("ssh_host_*"):
        path.unlink()
    (target / "resolv.conf").unlink(missing_ok=True)
    # Names fail at once rather than after the time-outs of an unreachable server.
    (target / "resolv.conf").write_text("nameserver 127.0.0.1\noptions timeout:1 attempts:1\n")


def write_names(etc: Path, name: str) -> None:
    (etc / "hostname").write_text(f"{name}\n")
    (etc / "hosts").write_text(f"127.0.0.1 localhost {name}\n::1 localhost\n")


def write_users(etc: Path, password: str, groups: Iterable[str]) -> None:
    """Adds `dev` with a password, in `groups` (made where absent); root may log in by key alone."""
    home = f"/home/{USER}"
    append = {
        "passwd": f"{USER}:x:{UID}:{UID}::{home}:/bin/bash",
        "group": f"{USER}:x:{UID}:",
        "shadow": f"{USER}:{hash_password(password)}:19000:0:99999:7:::",
    }
    for file, line in append.items():
        kept = [old for old in (etc / file).read_text().splitlines() if old.split(":")[0] != USER]
        (etc / file).write_text("\n".join([*kept, line]) + "\n")
    shadow = (etc / "shadow").read_text().splitlines()
    (etc / "shadow").write_text("\n".join(_unlocked(line) for line in shadow) + "\n")
    members = (etc / "group").read_text().splitlines()
    (etc / "group").write_text("\n".join(build_group(members, {"docker", *groups}, set(groups))) + "\n")


def _unlocked(line: str) -> str:
    """Without PAM, sshd turns away a root whose password starts with `!`, keys or not."""
    name, _, rest = line.split(":", 2)
    return f"root:*:{rest}" if name == "root" else line


def build_group(lines: Iterable[str], needed: set[str], joined: set[str]) -> list[str]:
    """The lines of a group file in which the `needed` groups exist and `dev` is in the `joined` ones alone."""
    built, absent, gid = [], set(needed), UID
    for line in lines:
        name, password, number, members = line.split(":", 3)
        others = [member for member in members.split(",") if member and member != USER]
        built.append(":".join([name, password, number, ",".join([*others, USER] if name in joined else others)]))
        absent.discard(name)
    for name in sorted(absent):
        gid += 1
        built.append(f"{name}:x:{gid}:{USER if name in joined else ''}")
    return built


def hash_password(password: str, salt: str = "$6$testbed$") -> str:
    """crypt(3), by way of perl: Python's own went with 3.13, and perl-base is on every Debian."""
    script = "print crypt($ARGV[0], $ARGV[1])"
    done = subprocess.run(["perl", "-e", script, password, salt], capture_output=True, text=True, check=True)
    return done.stdout


def write_sudoers(etc: Path, sudo: str | None) -> None:
    """`sudo` is "nopasswd", "password", or None for a user who may not."""
    folder = etc / "sudoers.d"
    if sudo is None or not folder.is_dir():
        return
    tag = "NOPASSWD: ALL" if sudo == "nopasswd" else "ALL"
    (folder / USER).write_text(f"Defaults:{USER} lecture=never\n{USER} ALL=(ALL:ALL) {tag}\n")
    (folder / USER).chmod(0o440)


def build_sshd_config(options: Mapping[str, str], port: int, host_keys: Iterable[str]) -> str:
    """sshd takes the first value of an option, so what the test wants goes before what a node has by default."""
    default = {
        "Port": str(port),
        "ListenAddress": "0.0.0.0",
        "UsePAM": "no",
        "PermitRootLogin": "prohibit-password",
        "UseDNS": "no",
        "PidFile": "/run/sshd.pid",
        "Subsystem": "sftp internal-sftp",
    }
    wanted = {name.lower() for name in options}
    lines = [f"{name} {value}" for name, value in options.items()]
    lines += [f"{name} {value}" for name, value in default.items() if name.lower() not in wanted]
    lines += [f"HostKey /etc/ssh/ssh_host_{kind}_key" for kind in host_keys]
    return "\n".join(lines) + "\n"


def write_docker_config(etc: Path, subnet: str, cgroup: str, options: Mapping[str, Any]) -> None:
    """Registries within the bed may be reached without TLS; containers that ignore SIGTERM don't hold up a stop."""
    folder = etc / "docker"
    if folder.exists():
        shutil.rmtree(folder)
    folder.mkdir()
    config = {"insecure-registries": [subnet], "cgroup-parent": f"/{cgroup}", "shutdown-timeout": 2, "group": "docker"}
    (folder / "daemon.json").write_text(json.dumps({**config, **options}))


def write_environment(path: Path, values: Mapping[str, object]) -> None:
    path.write_text("".join(f"{name}={shlex.quote(str(value))}\n" for name, value in values.items()))


def generate_key(path: Path, kind: str = "ed25519") -> None:
    for old in (path, path.with_name(f"{path.name}.pub")):
        old.unlink(missing_ok=True)
    subprocess.run(["ssh-keygen", "-q", "-t", kind, "-N", "", "-C", "testbed", "-f", str(path)], check=True)


def fingerprint(public_key: Path) -> str:
    """As OpenSSH prints it: `SHA256:…`."""
    blob = base64.b64decode(public_key.read_text().split()[1])
    return "SHA256:" + base64.b64encode(hashlib.sha256(blob).digest()).decode().rstrip("=")
