"""Is there a daemon, which version, and may this user use it."""

from collections.abc import Mapping
from typing import Any

from vendetta.errors import EngineForbidden, EngineUnavailable, ProviderError
from vendetta.models import ProviderStatus

from .engine import BRIEF, Engine


async def probe(engine: Engine) -> ProviderStatus:
    """Ask the engine one question. Raises `LinkError` alone."""
    title = engine.dialect.title
    try:
        async with engine.doing("probe lxc"):
            said = await engine.ask("GET", "", timeout=BRIEF)
    except EngineForbidden:
        return ProviderStatus(state="unhealthy", reason=_closed(engine))
    except EngineUnavailable as exc:
        return ProviderStatus(state="undetected", reason=exc.message)
    except ProviderError as exc:
        return ProviderStatus(state="unhealthy", reason=exc.message)
    if said.get("auth") != "trusted":
        return ProviderStatus(state="unhealthy", reason=f"{title} doesn't trust this user")
    return ProviderStatus(state="healthy", version=name_version(said))


def name_version(said: Mapping[str, Any]) -> str:
    """Return the engine and its version by `GET /1.0`: "incus 6.0.4", "lxd 5.0.2"."""
    environment = said["environment"]
    return f"{environment['server']} {environment['server_version']}"


def _closed(engine: Engine) -> str:
    return (
        f"this user may not use {engine.socket_path}: add it to the group {engine.dialect.group} "
        f"(sudo usermod -aG {engine.dialect.group} USER), then connect again"
    )
