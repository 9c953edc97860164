"""Is there an engine, which one, and may this user use it."""

from vendetta.errors import EngineForbidden, EngineUnavailable, ProviderError
from vendetta.models import ProviderStatus

from .engine import Engine, Version


async def probe(engine: Engine) -> ProviderStatus:
    """Ask the engine one question. Raises `LinkError` alone."""
    try:
        async with engine.doing("probe docker"):
            version = name_version(await engine.version())
    except EngineForbidden:
        return ProviderStatus(state="unhealthy", reason=_closed(engine.socket_path))
    except EngineUnavailable as exc:
        return ProviderStatus(state="undetected", reason=exc.message)
    except ProviderError as exc:
        return ProviderStatus(state="unhealthy", reason=exc.message)
    return ProviderStatus(state="healthy", version=version)


def name_version(version: Version) -> str:
    return f"podman {version.engine}" if version.is_podman else version.engine


def _closed(socket_path: str) -> str:
    return (
        f"this user may not use {socket_path}: add it to the group that owns the socket, usually docker "
        "(sudo usermod -aG docker USER), then connect again"
    )
