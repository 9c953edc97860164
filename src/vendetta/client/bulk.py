"""One change on many nodes or workspaces, as both nouns ask for it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Required, TypedDict

from vendetta import models

from .http import Http, new_key
from .lines import read_items


class BulkFields(TypedDict, total=False):
    """A change of many: one of `names`, `labels` (all of them) or `all`. `config` is that of the action."""

    action: Required[str]
    names: Sequence[str]
    labels: Mapping[str, str]
    all: bool
    config: Mapping[str, Any]
    deadline_seconds: float


class WorkspaceBulkFields(BulkFields, total=False):
    """A change of many workspaces: `node` narrows `labels` and `all`."""

    node: str


def stream_results(http: Http, path: str, change: BulkFields, key: str | None) -> Iterator[models.BulkResult]:
    with http.stream(path, method="POST", body=change, key=key or new_key()) as pieces:
        yield from read_items(pieces, models.BulkResult)
