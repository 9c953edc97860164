"""An image made on the node from a folder, by the engine's own builder (`POST /build`)."""

from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import msgspec

from .engine import Engine
from .errors import Refused
from .image_files import pieces_of_file
from .images import PATIENT
from .references import check_reference


async def build_image(
    engine: Engine,
    name: str,
    context: Path,
    *,
    file: str = "Dockerfile",
    arguments: Mapping[str, str] | None = None,
    platform: str | None = None,
) -> AsyncIterator[str]:
    check_reference(name)
    params = {"t": name, "dockerfile": file, "rm": "1", "forcerm": "1"}
    if arguments:
        params["buildargs"] = msgspec.json.encode(arguments).decode()
    if platform:
        params["platform"] = platform
    sending = pieces_of_file(context, lambda _: None)
    async with (
        engine.doing(f"build image {name}"),
        engine.stream("POST", "build", params=params, data=sending, timeout=PATIENT) as response,
    ):
        async for line in response.content:
            news = msgspec.json.decode(line, type=dict[str, Any])
            if error := news.get("error"):
                raise Refused(response.status, str(error))
            if said := news.get("stream") or news.get("status"):
                yield str(said)
