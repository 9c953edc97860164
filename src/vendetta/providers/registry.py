"""Which technologies there are: their kinds, what each can do, and how one is bound to a node."""

from collections.abc import Callable, Mapping

from vendetta.errors import UnknownProvider, nearest
from vendetta.models import InstanceSpec, Option
from vendetta.transport import Transport

from .base import Provider
from .options import describe_options
from .powers import Direct, capabilities

Factory = Callable[[Transport, str], Provider]
"""Makes a provider for one node: its transport, and the owner that marks what is ours."""


class Registry:
    """Made once, where the program is put together, from each class and its factory (often the class itself)."""

    def __init__(self, factories: Mapping[type[Provider], Factory]) -> None:
        self._factories = {cls.kind: factory for cls, factory in factories.items()}
        self._classes = {cls.kind: cls for cls in factories}

    @property
    def kinds(self) -> tuple[str, ...]:
        return tuple(sorted(self._factories))

    def capabilities(self, kind: str) -> frozenset[str]:
        """The rarer powers of a kind (`logs`, `stats`, …). Raises `UnknownProvider`."""
        self.check(kind)
        return capabilities(self._classes[kind])

    def options(self, kind: str) -> list[Option]:
        """The options of a spec that the kind takes. Raises `UnknownProvider`."""
        self.check(kind)
        return describe_options(self._classes[kind].rules)

    def lacks(self, kind: str) -> Mapping[str, str]:
        """The fields of a spec that the kind can't honour, and why. Raises `UnknownProvider`."""
        self.check(kind)
        return self._classes[kind].lacks

    def conditions(self, kind: str) -> Mapping[str, str]:
        """What a power of the kind takes of a node, where not every one has it. Raises `UnknownProvider`."""
        self.check(kind)
        return self._classes[kind].conditions

    def validate(self, kind: str, spec: InstanceSpec) -> None:
        """Before any node is asked. Raises `UnknownProvider`, or `InvalidInput` for what the kind can't take."""
        self.check(kind)
        self._classes[kind].validate(spec)

    def bind(self, kind: str, transport: Transport, owner: str) -> Provider:
        """A provider for the node behind `transport`; no I/O yet. Raises `UnknownProvider`."""
        self.check(kind)
        return self._factories[kind](transport, owner)

    def kind_of(self, engine: str) -> str:
        """The kind by its own name, or by that of an engine that it speaks to (`incus`). Raises `UnknownProvider`."""
        for kind, cls in self._classes.items():
            if issubclass(cls, Direct) and engine in cls.engine_names():
                return kind
        self.check(engine)
        return engine

    def check(self, kind: str) -> None:
        """Raises `UnknownProvider`, which says what there is."""
        if kind not in self._factories:
            raise UnknownProvider(
                f'unknown provider "{kind}".{nearest(kind, self._factories)}',
                hint=f"Known providers: {', '.join(self.kinds)}.",
                provider=kind,
                known=list(self.kinds),
            )
