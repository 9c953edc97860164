"""What the guest is told as it boots: a NoCloud seed of cloud-init, an ISO image made in memory. Pure: no I/O here."""

import io
from collections.abc import Mapping
from email.message import Message
from email.mime.multipart import MIMEMultipart
from email.mime.text import MIMEText
from typing import Any

import msgspec
from pycdlib import PyCdlib

from .keys import KeyPair

READY_PORT = "dev.vendetta.ready"
"""A virtio-serial port that the guest opens once its sshd listens: qemu tells of that."""

_UNITS = "ssh.service sshd.service ssh.socket"
_TELL = f'-/bin/sh -c ": >/dev/virtio-ports/{READY_PORT}"'
_WATCH_SSHD = f"""\
command -v systemctl >/dev/null || exit 0
for unit in {_UNITS}; do
  case $unit in *.socket) section=Socket ;; *) section=Service ;; esac
  mkdir -p /run/systemd/system/$unit.d
  printf '%s\\n' "[$section]" 'ExecStartPost={_TELL}' >/run/systemd/system/$unit.d/vendetta.conf
done
systemctl daemon-reload
"""

_TYPES = {
    "#cloud-config": "cloud-config",
    "#cloud-config-archive": "cloud-config-archive",
    "#cloud-boothook": "cloud-boothook",
    "#include": "x-include-url",
    "#include-once": "x-include-once-url",
    "## template: jinja": "jinja2",
}
"""Of user data, by its first line; `#!` is a script."""

_MERGE = "list(append)+dict(recurse_list,recurse_dict)+str()"
"""What is ours stays, and the user's lists go on where ours end."""


def build_cloud_config(user: str | None, key: KeyPair, host_key: KeyPair, env: Mapping[str, str]) -> dict[str, Any]:
    config: dict[str, Any] = {
        # sudo looks for the machine's own name, and waits for it where nobody knows it
        "manage_etc_hosts": "localhost",
        "bootcmd": [["sh", "-c", _WATCH_SSHD]],
    }
    if user is not None:
        config["ssh_deletekeys"] = True
        config["ssh_genkeytypes"] = []
        config["ssh_keys"] = {"ed25519_private": host_key.private, "ed25519_public": host_key.public}
        config["disable_root"] = user != "root"
        config["users"] = [_build_user(user, key)]
    lines = [f'{name}="{value}"' for name, value in env.items() if "\n" not in value and '"' not in value]
    if lines:
        content = "".join(f"{line}\n" for line in lines)
        config["write_files"] = [{"path": "/etc/environment", "append": True, "content": content}]
    return config


def _build_user(user: str, key: KeyPair) -> dict[str, Any]:
    described: dict[str, Any] = {"name": user, "ssh_authorized_keys": [key.public]}
    if user != "root":
        described |= {"shell": "/bin/bash", "lock_passwd": True, "sudo": "ALL=(ALL) NOPASSWD:ALL"}
    return described


def build_user_data(config: Mapping[str, Any], users_own: str | None) -> bytes:
    """Build the user data: JSON, which is YAML too.

    With the user's own the two are parts of one message, which cloud-init merges.
    """
    ours = "#cloud-config\n" + msgspec.json.format(msgspec.json.encode(config), indent=1).decode() + "\n"
    if users_own is None:
        return ours.encode()
    message = MIMEMultipart()
    message.attach(MIMEText(ours, "cloud-config", "utf-8"))
    part: Message = MIMEText(users_own, parse_type(users_own), "utf-8")
    part.add_header("X-Merge-Type", _MERGE)
    message.attach(part)
    return message.as_bytes()


def parse_type(user_data: str) -> str:
    """Return the subtype of `text/` by which cloud-init knows it. Raises `ValueError` for what it doesn't know."""
    first = user_data.partition("\n")[0].strip()
    if first.startswith("#!"):
        return "x-shellscript"
    if first not in _TYPES:
        raise ValueError(f'must begin with "#!" or one of: {", ".join(_TYPES)}')
    return _TYPES[first]


def build_seed(name: str, instance_id: str, user_data: bytes) -> bytes:
    """Build the image (ISO 9660). A guest knows by the id whether it boots for the first time."""
    meta = msgspec.json.encode({"instance-id": instance_id, "local-hostname": name})
    iso = PyCdlib()
    iso.new(interchange_level=3, joliet=3, rock_ridge="1.09", vol_ident="cidata")
    for file, content in (("meta-data", meta + b"\n"), ("user-data", user_data)):
        short = f"/{file.upper().replace('-', '_')}.;1"
        iso.add_fp(io.BytesIO(content), len(content), short, rr_name=file, joliet_path=f"/{file}")
    written = io.BytesIO()
    iso.write_fp(written)
    iso.close()
    return written.getvalue()
