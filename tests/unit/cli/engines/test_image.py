"""vendetta image: what nodes hold."""

import io
import json
import os
import signal
import tarfile
import threading
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest
from tests.unit.cli.conftest import Cli
from tests.unit.client.fake_server import FakeServer, Reply, Request, items, sse
from tests.unit.client.samples import IMAGE, OPERATION, operation

from vendetta.errors import BuildFailed
from vendetta.models import BuildNews, Problem

ON_GPU = replace(OPERATION, target="gpu")
OP = OPERATION.id


@pytest.fixture
def held(fake: FakeServer) -> FakeServer:
    fake.routes |= {
        "GET /images": items(IMAGE),
        "POST /images": Reply(202, ON_GPU),
        "POST /images/pull": Reply(202, ON_GPU),
        "POST /images/build": build_reply(BuildNews(output="Step 1/1\n"), BuildNews(image=IMAGE)),
        "DELETE /images": Reply(202, ON_GPU),
        f"GET /operations/{OP}/watch": sse(OPERATION, operation("succeeded")),
        f"GET /operations/{OP}": operation("succeeded"),
    }
    return fake


def build_reply(*news: BuildNews) -> Reply:
    return Reply(type="application/x-ndjson", pieces=[msgspec.json.encode(one) + b"\n" for one in news])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "folder"
    (folder / "node_modules" / "dep").mkdir(parents=True)
    (folder / "src" / "node_modules").mkdir(parents=True)
    for name in ("Dockerfile", "a.log", "keep.log", "node_modules/dep/x", "src/node_modules/y", "src/main.py"):
        (folder / name).write_text(name)
    return folder


def context(held: FakeServer) -> set[str]:
    """The files that the builder was sent."""
    (request,) = held.asked("POST /images/build")
    return {one.name.removeprefix("./") for one in tarfile.open(fileobj=io.BytesIO(request.body)) if one.isfile()}


def test_list(held: FakeServer, cli: Cli) -> None:
    ended = cli("image", "list", "gpu")
    assert [line.split()[:5] for line in ended.out.splitlines()] == [
        ["NAME", "PROVIDER", "ID", "SIZE", "AGE"],
        ["mine:1", "docker", "0123456789ab", "5", "MiB"],
    ]
    assert cli("image", "ls", "gpu", "-o", "name").out == "mine:1\n"


def test_push_a_file(held: FakeServer, cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "mine.tar").write_bytes(b"x" * 300_000)
    ended = cli("image", "push", "gpu", "mine:1", str(tmp_path / "mine.tar"), "-p", "docker")
    assert (ended.status, ended.out) == (0, "image mine:1 pushed to node gpu\n")
    (request,) = held.asked("POST /images")
    assert request.body == b"x" * 300_000
    assert request.query == {"node": ["gpu"], "name": ["mine:1"], "provider": ["docker"]}


def test_push_what_is_not_there(held: FakeServer, cli: Cli, tmp_path: Path) -> None:
    assert cli("image", "push", "gpu", "mine:1", str(tmp_path / "none")).status == 1


def test_pull(held: FakeServer, cli: Cli) -> None:
    assert cli("image", "pull", "gpu", "debian:12").out == "image debian:12 pulled to node gpu\n"
    assert held.asked("POST /images/pull")[0].body == {"node": "gpu", "name": "debian:12", "provider": None}


def test_remove_asks(held: FakeServer, cli: Cli) -> None:
    assert cli("image", "remove", "gpu", "mine:1").status == 2
    assert held.asked("DELETE /images") == []
    assert cli("image", "rm", "gpu", "mine:1", "--yes").out == "image mine:1 removed from node gpu\n"


@pytest.mark.parametrize(
    ("route", "words"), [("POST /images/pull", "pull gpu debian:12"), ("DELETE /images", "remove gpu debian:12 --yes")]
)
def test_ctrl_c_while_it_is_asked_for_cancels_it(held: FakeServer, cli: Cli, route: str, words: str) -> None:
    cancelled = threading.Event()

    def submit(request: Request) -> Reply:
        os.kill(os.getpid(), signal.SIGINT)
        return Reply(202, ON_GPU)

    def watch(request: Request) -> Reply:
        assert cancelled.wait(10)
        return sse(operation("cancelled"))

    def cancel(request: Request) -> Reply:
        cancelled.set()
        return Reply(body=ON_GPU)

    held.routes |= {
        route: submit,
        f"GET /operations/{OP}/watch": watch,
        f"POST /operations/{OP}/cancel": cancel,
    }
    assert cli("image", *words.split()).status == 130
    assert held.asked(f"POST /operations/{OP}/cancel")


def test_build(held: FakeServer, cli: Cli, folder: Path) -> None:
    ended = cli("image", "build", "gpu", "mine:1", str(folder), "--build-arg", "WHO=me", "--platform", "linux/arm64")
    assert (ended.status, ended.out, ended.err) == (0, "image mine:1 built on node gpu\n", "Step 1/1\n")
    (request,) = held.asked("POST /images/build")
    assert (request.query["argument"], request.query["platform"]) == (["WHO=me"], ["linux/arm64"])
    assert json.loads(cli("image", "build", "gpu", "mine:1", str(folder), "-o", "json").out)["id"] == IMAGE.id


def test_all_of_a_folder_is_sent(held: FakeServer, cli: Cli, folder: Path) -> None:
    cli("image", "build", "gpu", "mine:1", str(folder))
    assert len(context(held)) == 6


def test_what_is_ignored_is_not_sent(held: FakeServer, cli: Cli, folder: Path) -> None:
    ignored = "# comment\n*.log\n!keep.log\nnode_modules\n/Dockerfile\n"
    (folder / ".dockerignore").write_text(ignored)
    cli("image", "build", "gpu", "mine:1", str(folder))
    # anchored at the folder, unlike git's; the builder has its own file whatever it says
    assert context(held) == {".dockerignore", "Dockerfile", "keep.log", "src/main.py", "src/node_modules/y"}


def test_a_build_that_fails(held: FakeServer, cli: Cli, folder: Path) -> None:
    problem = Problem.from_error(BuildFailed("build mine:1 on node gpu: exit status 3", hint="See above."))
    held.routes["POST /images/build"] = build_reply(BuildNews(output="Step 1/1\n"), BuildNews(problem=problem))
    ended = cli("image", "build", "gpu", "mine:1", str(folder))
    assert (ended.status, "exit status 3" in ended.err) == (1, True)


def test_a_build_that_is_cut_off_is_said(held: FakeServer, cli: Cli, folder: Path) -> None:
    reply = build_reply(BuildNews(output="Step 1/1\n"))
    held.routes["POST /images/build"] = Reply(type=reply.type, pieces=reply.pieces, cut=True)
    assert cli("image", "build", "gpu", "mine:1", str(folder)).status == 5


def test_no_dockerfile(held: FakeServer, cli: Cli, tmp_path: Path) -> None:
    ended = cli("image", "build", "gpu", "mine:1", str(tmp_path))
    assert (ended.status, "there is no Dockerfile" in ended.err) == (1, True)
