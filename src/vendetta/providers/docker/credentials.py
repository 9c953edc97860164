"""Logins for registries, from docker's own config.json on the server's machine. Read for one pull, and forgotten."""

import asyncio
import base64
import re
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from vendetta.errors import InvalidInput

from .references import registry_of

_HELPER = re.compile(r"[A-Za-z0-9_-]+")
HELPER_SECONDS = 30.0


class Credentials:
    """`config` is the path of docker's config.json; None, or no such file: every pull is anonymous."""

    def __init__(self, config: Path | None) -> None:
        self._config = config

    async def header(self, image: str) -> dict[str, str]:
        """Return the header that logs a pull of `image` in; empty where there is no login for its registry."""
        if self._config is None:
            return {}
        config = await asyncio.to_thread(_read, self._config)
        registry = registry_of(image)
        helper = config.get("credHelpers", {}).get(registry) or config.get("credsStore")
        login = await _ask_helper(helper, registry) if helper else {}
        return build_header(login or parse_login(config.get("auths", {}), registry))


def parse_login(auths: Mapping[str, Mapping[str, str]], registry: str) -> dict[str, str]:
    """Return the login for `registry`, as the Engine API takes it; empty for none. Raises `InvalidInput`."""
    spellings = {registry, f"https://{registry}", f"https://{registry}/", f"http://{registry}"}
    entry = next((value for key, value in auths.items() if key in spellings), {})
    if token := entry.get("identitytoken"):
        return {"identitytoken": token, "serveraddress": registry}
    if not (encoded := entry.get("auth")):
        return {}
    try:
        user, _, password = base64.b64decode(encoded, validate=True).decode().partition(":")
    except ValueError:
        # Not "from exc": the cause would carry the secret into the log.
        raise InvalidInput(f"docker's config.json: the login for {registry} can't be read") from None
    return {"username": user, "password": password, "serveraddress": registry}


def build_header(login: Mapping[str, str]) -> dict[str, str]:
    if not login:
        return {}
    return {"X-Registry-Auth": base64.urlsafe_b64encode(msgspec.json.encode(login)).decode()}


def _read(path: Path) -> dict[str, Any]:
    try:
        return msgspec.json.decode(path.read_bytes(), type=dict[str, Any])
    except FileNotFoundError:
        return {}
    except (OSError, msgspec.DecodeError):
        raise InvalidInput(f"can't read {path}", hint="It is docker's own: mend it with `docker login`.") from None


async def _ask_helper(helper: str, registry: str) -> dict[str, str]:
    """What `docker-credential-HELPER get` answers; empty where it knows no login."""
    if not _HELPER.fullmatch(helper):
        raise InvalidInput(f"docker's config.json names a credential helper {helper!r}")

    def ask() -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(
            [f"docker-credential-{helper}", "get"],
            input=registry.encode(),
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=HELPER_SECONDS,
            check=False,
        )

    try:
        # in a thread: one that ends before it has read raises in uvloop what nobody expects
        done = await asyncio.to_thread(ask)
    except FileNotFoundError as exc:
        raise InvalidInput(f"docker-credential-{helper}, named in docker's config.json, is not installed") from exc
    except subprocess.TimeoutExpired as exc:
        raise InvalidInput(f"docker-credential-{helper} doesn't answer") from exc
    return parse_helper_answer(done.stdout, registry) if done.returncode == 0 else {}


def parse_helper_answer(answer: bytes, registry: str) -> dict[str, str]:
    try:
        login = msgspec.json.decode(answer, type=dict[str, str])
        user, secret = login["Username"], login["Secret"]
    except (msgspec.DecodeError, KeyError):
        return {}
    if user == "<token>":
        return {"identitytoken": secret, "serveraddress": registry}
    return {"username": user, "password": secret, "serveraddress": registry}
