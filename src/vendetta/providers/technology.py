"""What a kind of provider is: the back ends that may serve it on a node, and how the one of a node is found."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass

from vendetta.models import InstanceSpec
from vendetta.transport import Transport

from .base import Provider
from .powers import POWERS, capabilities

Bind = Callable[[Transport, str], Awaitable[Provider]]
"""Makes the provider of one node: of its transport, and the owner that marks what is ours.

Raises `LinkError`, and `EngineUnavailable` where the node has no back end; `mend` in its details is the command that
installs one.
"""


@dataclass(frozen=True, slots=True)
class BackEnd:
    """A class that may serve a kind. The version that its `probe` returns begins with `name` ("incus 6.0.4").

    `title` is what people call it.
    """

    name: str
    title: str
    provider: type[Provider]


@dataclass(frozen=True, slots=True)
class Technology:
    """`validate` checks a spec as `Provider.validate` does, for what no back end can take."""

    back_ends: Sequence[BackEnd]
    bind: Bind
    validate: Callable[[InstanceSpec], None]

    @classmethod
    def of(cls, provider: type[Provider], make: Callable[[Transport, str], Provider] | None = None) -> "Technology":
        """Return a kind with one class on every node. `make` builds it, by default the class itself."""
        build: Callable[[Transport, str], Provider] = make or provider

        async def bind(transport: Transport, owner: str) -> Provider:
            return build(transport, owner)

        return cls([BackEnd(provider.kind, provider.kind, provider)], bind, provider.validate)

    @property
    def provider(self) -> type[Provider]:
        """Return the first back end's class: `kind`, `rules` and `lacks` are the same for each."""
        return self.back_ends[0].provider

    def capabilities(self, version: str | None = None) -> frozenset[str]:
        """Return the rarer powers of the back end that `version` (of a node's status) names, else of any back end."""
        found = [one for one in self.back_ends if version is not None and version.startswith(f"{one.name} ")]
        return frozenset[str]().union(*(capabilities(one.provider) for one in found or self.back_ends))

    def conditions(self) -> Mapping[str, str]:
        """Return what a node needs for a power that not every one has: which back end, and what that needs."""
        found = {}
        for power in sorted(self.capabilities()):
            able = [one for one in self.back_ends if issubclass(one.provider, POWERS[power])]
            needs = [] if len(able) == len(self.back_ends) else [" or ".join(one.title for one in able)]
            needs += dict.fromkeys(one.provider.needs[power] for one in able if power in one.provider.needs)
            if needs:
                found[power] = ", ".join(needs)
        return found
