"""Which technologies there are: their kinds, what each can do, and how one is bound to a node."""

from collections.abc import Mapping

from vendetta.errors import UnknownProvider, nearest
from vendetta.models import InstanceSpec, Option
from vendetta.transport import Transport

from .base import Provider
from .options import describe_options
from .powers import Direct
from .technology import Technology


class Registry:
    """Made once, where the program is put together."""

    def __init__(self, *technologies: Technology) -> None:
        self._technologies = {one.provider.kind: one for one in technologies}

    @property
    def kinds(self) -> tuple[str, ...]:
        return tuple(sorted(self._technologies))

    def capabilities(self, kind: str, version: str | None = None) -> frozenset[str]:
        """Return the rarer powers of a kind (`logs`, `stats`, …): what some node may have.

        With the `version` of a node's `ProviderStatus`, those of that node. Raises `UnknownProvider`.
        """
        return self._find(kind).capabilities(version)

    def options(self, kind: str) -> list[Option]:
        """Return the options of a spec that the kind takes. Raises `UnknownProvider`."""
        return describe_options(self._find(kind).provider.rules)

    def lacks(self, kind: str) -> Mapping[str, str]:
        """Return the fields of a spec that the kind can't honour, and why. Raises `UnknownProvider`."""
        return self._find(kind).provider.lacks

    def conditions(self, kind: str) -> Mapping[str, str]:
        """Return what a node needs for a power of the kind, where not every one has it. Raises `UnknownProvider`."""
        return self._find(kind).conditions()

    def validate(self, kind: str, spec: InstanceSpec) -> None:
        """Check a spec before any node is asked.

        Raises `UnknownProvider`, or `InvalidInput` for what the kind can't take.
        """
        self._find(kind).validate(spec)

    async def bind(self, kind: str, transport: Transport, owner: str) -> Provider:
        """Return the provider of the node behind `transport`; asks the node where the kind has more than one back end.

        Raises `UnknownProvider`, `LinkError`, and `EngineUnavailable` where the node has none of them.
        """
        return await self._find(kind).bind(transport, owner)

    def kind_of(self, engine: str) -> str:
        """Return the kind by its own name, or by that of an engine that it speaks to (`incus`).

        Raises `UnknownProvider`.
        """
        for kind, technology in self._technologies.items():
            for one in technology.back_ends:
                if issubclass(one.provider, Direct) and engine in one.provider.engine_names():
                    return kind
        self.check(engine)
        return engine

    def check(self, kind: str) -> None:
        """Raise `UnknownProvider`, which says what there is, for a kind that isn't."""
        self._find(kind)

    def _find(self, kind: str) -> Technology:
        try:
            return self._technologies[kind]
        except KeyError:
            raise UnknownProvider(
                f'unknown provider "{kind}".{nearest(kind, self._technologies)}',
                hint=f"Known providers: {', '.join(self.kinds)}.",
                provider=kind,
                known=list(self.kinds),
            ) from None
