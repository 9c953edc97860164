"""The workspaces, by name."""

from collections.abc import Mapping, Sequence

from vendetta.errors import WorkspaceNotFound
from vendetta.models import Workspace

from .named import NamedTable
from .rows import Page
from .tables import workspaces


class Workspaces(NamedTable[Workspace]):
    """`since` is the date of `state`."""

    model = Workspace
    table = workspaces
    noun = "workspace"
    dated = "state"
    absent = WorkspaceNotFound

    async def all(self, *, node: str | None = None, provider: str | None = None) -> Sequence[Workspace]:
        return await self._all(node=node, provider=provider)

    async def list(
        self,
        *,
        node: str | None = None,
        provider: str | None = None,
        state: str | None = None,
        labels: Mapping[str, str] | None = None,
        limit: int = 100,
        cursor: str | None = None,
    ) -> Page[Workspace]:
        return await self._page(labels, limit, cursor, node=node, provider=provider, state=state)
