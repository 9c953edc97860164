"""How many connections there may be, by the limit of open files."""

import resource

import pytest

from vendetta.api.limits import MOST_CONNECTIONS, count_connections


@pytest.mark.parametrize(
    ("files", "connections"),
    [
        (1, 1),
        (1024, 768),
        (4096, 3072),
        (20_000, 15_000),
        (1_048_576, MOST_CONNECTIONS),
        (resource.RLIM_INFINITY, MOST_CONNECTIONS),
    ],
)
def test_connections_leave_room_for_other_files(monkeypatch: pytest.MonkeyPatch, files: int, connections: int) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda what: (files, files))
    assert count_connections() == connections
