"""workspace cp: trees of this machine as archives, and archives of a workspace as trees here."""

import io
import os
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.unit.cli.conftest import Cli
from tests.unit.client.fake_server import FakeServer, Reply, Request
from tests.unit.client.samples import PATH_STAT

from vendetta.cli.workspace.cp import parse_remote
from vendetta.errors import PathNotFound
from vendetta.models import PathStat

FILES = "/workspaces/web/files"
ODD = "odd \n name \u00e9"


def stat_of(*directories: str, **to: str) -> Callable[[Request], object]:
    links = {f"/{name}": target for name, target in to.items()}

    def stat(request: Request) -> object:
        path = request.query["path"][0]
        if path in links:
            return PathStat(kind="link", size_bytes=1, mode=0o777, target=links[path])
        return PATH_STAT if path in directories else PathNotFound(f"there is nothing at {path}")

    return stat


@pytest.fixture
def box(fake: FakeServer) -> FakeServer:
    """A workspace with a directory /srv, that takes what it is given."""
    fake.routes |= {f"GET {FILES[:-5]}path": stat_of("/", "/srv", link="srv", loop="loop"), f"PUT {FILES}": Reply(204)}
    return fake


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A tree with what trees have."""
    site = tmp_path / "site"
    (site / "sub" / "empty").mkdir(parents=True)
    (site / "run").write_bytes(b"\x00\xff" * 5000)
    (site / "run").chmod(0o750)
    (site / ODD).write_text("odd")
    (site / "link").symlink_to("run")
    (site / "away").symlink_to("/nowhere")
    os.link(site / "run", site / "sub" / "twin")
    (site / "sub").chmod(0o700)
    return site


def sent(box: FakeServer) -> tuple[str, list[str]]:
    """Where the last archive went, and what it holds."""
    request = box.asked(f"PUT {FILES}")[-1]
    return request.query["path"][0], sorted(tarfile.open(fileobj=io.BytesIO(request.body)).getnames())


def archive(*members: tuple[str, bytes | None], **links: str) -> bytes:
    """Names with what they hold (None: a directory), and links."""
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as tar:
        for name, data in members:
            member = tarfile.TarInfo(name)
            member.type = tarfile.DIRTYPE if data is None else tarfile.REGTYPE
            member.mode, member.size = 0o755, len(data or b"")
            tar.addfile(member, io.BytesIO(data or b""))
        for name, target in links.items():
            member = tarfile.TarInfo(name.replace("__", "/"))
            member.type, member.linkname = tarfile.SYMTYPE, target
            tar.addfile(member)
    return made.getvalue()


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("web:/srv", ("web", "/srv")),
        ("web:srv/../etc/", ("web", "/etc")),
        ("web:", ("web", "/")),
        ("./web:x", None),
        ("dir/web:x", None),
        ("plain", None),
        (":/x", None),
    ],
)
def test_places(text: str, place: tuple[str, str] | None) -> None:
    assert parse_remote(text) == place


def test_into_a_directory_or_under_a_name(box: FakeServer, cli: Cli, site: Path) -> None:
    ended = cli("workspace", "cp", str(site / "run"), "web:/srv")
    assert (ended.status, ended.out) == (0, f"{site / 'run'} copied to web:/srv\n")
    assert sent(box) == ("/srv", ["run"])
    assert cli("ws", "cp", str(site / "run"), "web:/srv/other").status == 0
    assert sent(box) == ("/srv", ["other"])
    assert cli("ws", "cp", str(site / "run"), "web:/link").status == 0
    assert sent(box) == ("/link", ["run"])
    assert cli("ws", "cp", str(site / "run"), "web:/loop").status == 0
    assert sent(box) == ("/", ["loop"])
    assert cli("ws", "cp", str(site), "web:/").status == 0
    names = ["", "/away", "/link", f"/{ODD}", "/run", "/sub", "/sub/empty", "/sub/twin"]
    assert sent(box) == ("/", [f"site{name}" for name in sorted(names)])


def test_there_and_back_is_the_same(box: FakeServer, cli: Cli, site: Path, tmp_path: Path) -> None:
    assert cli("ws", "cp", str(site), "web:/srv").status == 0
    body = box.asked(f"PUT {FILES}")[-1].body
    box.routes[f"GET {FILES}"] = Reply(pieces=[body[i : i + 700] for i in range(0, len(body), 700)])
    (tmp_path / "back").mkdir()
    assert cli("ws", "cp", "web:/srv/site", str(tmp_path / "back")).status == 0
    back = tmp_path / "back" / "site"
    assert sorted(path.relative_to(back) for path in back.rglob("*")) == sorted(
        path.relative_to(site) for path in site.rglob("*")
    )
    assert (back / "run").read_bytes() == (site / "run").read_bytes()
    assert [oct((back / name).stat().st_mode & 0o777) for name in ("run", "sub")] == ["0o750", "0o700"]
    assert [os.readlink(back / name) for name in ("link", "away")] == ["run", "/nowhere"]
    assert (back / "sub" / "twin").samefile(back / "run")
    assert (back / "run").stat().st_mtime == pytest.approx((site / "run").stat().st_mtime, abs=1)
    # as it is called in DST where there is no such directory
    assert cli("ws", "cp", "web:/srv/site", str(tmp_path / "named")).status == 0
    assert (tmp_path / "named" / ODD).read_text() == "odd"


@pytest.mark.parametrize("hostile", ["../out", "/etc/out", "site/../../out"])
def test_nothing_is_written_outside(box: FakeServer, cli: Cli, tmp_path: Path, hostile: str) -> None:
    here = tmp_path / "here"
    here.mkdir()
    box.routes[f"GET {FILES}"] = Reply(pieces=[archive(("site", None), (hostile, b"gotcha"))])
    ended = cli("ws", "cp", "web:/site", str(here))
    assert (ended.status, "outside of what was asked for" in ended.err) == (2, True)
    assert not list(tmp_path.rglob("out"))


def test_nothing_is_written_through_a_link(box: FakeServer, cli: Cli, tmp_path: Path) -> None:
    here, outside = tmp_path / "here", tmp_path / "outside"
    here.mkdir()
    outside.mkdir()
    box.routes[f"GET {FILES}"] = Reply(pieces=[archive(("s", None), ("s/d/f", b"x"), s__d=str(outside))])
    ended = cli("ws", "cp", "web:/s", str(here))
    assert (ended.status, list(outside.iterdir())) == (2, [])


def test_what_is_cut_off_is_said(box: FakeServer, cli: Cli, tmp_path: Path) -> None:
    half = archive(("f", b"x" * 4000))[:2000]
    box.routes[f"GET {FILES}"] = Reply(pieces=[half], cut=True)
    assert cli("ws", "cp", "web:/f", str(tmp_path)).status == 5


@pytest.mark.parametrize("args", [("a", "b"), ("web:/a", "box:/b"), ("web:/a",)])
def test_one_of_them_is_in_a_workspace(box: FakeServer, cli: Cli, args: tuple[str, ...]) -> None:
    assert (cli("ws", "cp", *args).status, box.requests) == (2, [])


def test_what_is_not_there(box: FakeServer, cli: Cli, tmp_path: Path) -> None:
    ended = cli("ws", "cp", str(tmp_path / "none"), "web:/srv")
    assert (ended.status, f"there is nothing at {tmp_path}/none" in ended.err) == (1, True)
    box.routes[f"GET {FILES}"] = PathNotFound("there is nothing at /none")
    assert cli("ws", "cp", "web:/none", str(tmp_path)).status == 1
    assert cli("ws", "cp", "web:/none", str(tmp_path / "no" / "where")).status == 1
