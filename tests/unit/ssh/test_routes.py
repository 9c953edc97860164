"""The way to a node is read once, as long as that is as good as reading it each time."""

from pathlib import Path

import pytest

from vendetta.ssh import routes
from vendetta.ssh.endpoint import Endpoint
from vendetta.ssh.routes import Routes

GPU = Endpoint(node="gpu", host="gpu")


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The nodes whose way was read, in order."""
    read: list[str] = []
    build = routes.build_route

    def noted(endpoint: Endpoint, files: list[str]) -> object:
        read.append(endpoint.node)
        return build(endpoint, files)

    monkeypatch.setattr(routes, "build_route", noted)
    return read


async def host_of(found: Routes, endpoint: Endpoint = GPU) -> str:
    return (await found.find(endpoint))[-1].host


async def test_it_is_read_once_for_each_node(tmp_path: Path, read: list[str]) -> None:
    (tmp_path / "config").write_text("Host gpu\n  HostName 192.0.2.1\n")
    found = Routes([tmp_path / "config", tmp_path / "absent"])
    assert [await host_of(found) for _ in range(3)] == ["192.0.2.1"] * 3
    assert await host_of(found, Endpoint(node="other", host="192.0.2.9")) == "192.0.2.9"
    assert read == ["gpu", "other"]


async def test_what_changes_in_the_files_counts_at_once(tmp_path: Path) -> None:
    config, included = tmp_path / "config", tmp_path / "more.d" / "one.conf"
    found = Routes([config])
    assert await host_of(found) == "gpu"
    config.write_text(f'Include {tmp_path}/more.d/*.conf\nInclude "~/nowhere"\n')
    assert await host_of(found) == "gpu"
    included.parent.mkdir()
    included.write_text("Host gpu\n  HostName 192.0.2.1\n")
    assert await host_of(found) == "192.0.2.1"
    included.write_text("Host gpu\n  HostName 192.0.2.22\n")
    assert await host_of(found) == "192.0.2.22"
    config.unlink()
    assert await host_of(found) == "gpu"


@pytest.mark.parametrize("where", ["config", "more"])
async def test_what_depends_on_more_than_the_text_is_read_each_time(
    tmp_path: Path, read: list[str], where: str
) -> None:
    (tmp_path / "config").write_text(f"Include {tmp_path}/more\n")
    (tmp_path / "more").write_text("")
    with (tmp_path / where).open("a") as file:
        file.write(f'match exec "test -e {tmp_path}/away"\n  HostName 192.0.2.1\n')
    found = Routes([tmp_path / "config"])
    assert await host_of(found) == "gpu"
    (tmp_path / "away").touch()
    assert await host_of(found) == "192.0.2.1"
    assert read == ["gpu", "gpu"]
