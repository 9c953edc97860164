import socket
import threading
from pathlib import Path

import pytest
from tests.unit.client.fake_server import FakeServer, Reply, Request, items, serve
from tests.unit.client.samples import NODE, OPERATION, SERVER, WORKSPACE

from vendetta.client import Client
from vendetta.client.http import build_path, build_query
from vendetta.errors import DeadlineExceeded, InvalidInput, NodeNotFound, ServerUnavailable, UnexpectedReply


def test_one_connection_serves_many_requests(fake: FakeServer, client: Client) -> None:
    fake.routes["GET /nodes/gpu"] = NODE
    assert [client.nodes.get("gpu") for _ in range(3)] == [NODE] * 3
    assert fake.connections == 1


def test_lists_are_read_page_by_page(fake: FakeServer, client: Client) -> None:
    def page(request: Request) -> Reply:
        last = request.query.get("cursor") == ["c"]
        return Reply(body={"items": [WORKSPACE], "next_cursor": None if last else "c"})

    fake.routes["GET /workspaces"] = page
    assert client.workspaces.list(node="gpu", labels={"zone": "lab", "rack": "2"}) == [WORKSPACE, WORKSPACE]
    assert fake.requests[0].query == {"node": ["gpu"], "label": ["zone=lab", "rack=2"]}


def test_a_problem_is_raised_as_the_error_it_was(fake: FakeServer, client: Client) -> None:
    fake.routes["GET /nodes/gpu2"] = NodeNotFound("no node gpu2", hint="Did you mean gpu?", name="gpu2")
    with pytest.raises(NodeNotFound) as caught:
        client.nodes.get("gpu2")
    assert (caught.value.message, caught.value.hint) == ("no node gpu2", "Did you mean gpu?")
    assert caught.value.details == {"name": "gpu2"}


@pytest.mark.parametrize(
    "reply", [Reply(body={"name": 3}), Reply(502, "bad gateway"), Reply(500, [], "application/problem+json")]
)
def test_an_answer_that_makes_no_sense_says_so(fake: FakeServer, client: Client, reply: Reply) -> None:
    fake.routes["GET /nodes/gpu"] = reply
    with pytest.raises(UnexpectedReply):
        client.nodes.get("gpu")


def test_an_operation_that_makes_no_sense_says_so_whatever_was_sent(fake: FakeServer, client: Client) -> None:
    fake.routes |= {"POST /images": Reply(202, {"id": 3}), "POST /images/pull": Reply(202, {"id": 3})}
    with pytest.raises(UnexpectedReply, match="answer to POST /images is not"):
        client.images.push("gpu", "mine:1", [b"x"])
    with pytest.raises(UnexpectedReply, match="answer to POST /images/pull is not"):
        client.images.pull("gpu", "mine:1")


def test_every_change_carries_a_key_of_its_own(fake: FakeServer, client: Client) -> None:
    for route in ("POST /workspaces/web/start", "DELETE /workspaces/web"):
        fake.routes[route] = Reply(202, OPERATION)
    client.workspaces.start("web")
    client.workspaces.remove("web")
    client.workspaces.start("web", key="mine")
    keys = [request.headers["idempotency-key"] for request in fake.requests]
    assert len(set(keys)) == 3
    assert keys[2] == "mine"


def test_a_connection_that_the_server_closed_meanwhile_is_replaced(fake: FakeServer, client: Client) -> None:
    fake.routes["GET /server"] = Reply(body=SERVER, keep=False)
    assert client.status() == SERVER
    assert client.status() == SERVER
    assert fake.connections == 2


def test_nothing_is_sent_twice_where_that_is_not_safe(fake: FakeServer, client: Client) -> None:
    fake.routes["POST /nodes/gpu/connect"] = Reply(body=NODE, cut=True, pieces=[])
    with pytest.raises(ServerUnavailable):
        client.nodes.connect("gpu")
    assert len(fake.requests) == 1


def test_a_body_that_is_cut_off_is_an_error(fake: FakeServer, client: Client) -> None:
    fake.routes["GET /nodes/gpu"] = Reply(pieces=[b'{"id":'], cut=True)
    with pytest.raises(ServerUnavailable, match="in the middle"):
        client.nodes.get("gpu")


def test_no_server_says_how_to_start_one(tmp_path: Path) -> None:
    with pytest.raises(ServerUnavailable) as caught:
        Client.at(f"unix://{tmp_path}/absent").status()
    assert caught.value.hint
    assert "server start" in caught.value.hint


def test_the_token_is_presented_and_cannot_smuggle_headers(fake: FakeServer) -> None:
    fake.routes["GET /nodes"] = items()
    with Client.at(fake.url, token="abc") as client:
        client.nodes.list()
    assert fake.requests[0].headers["authorization"] == "Bearer abc"
    with pytest.raises(InvalidInput):
        Client.at(fake.url, token="abc\r\nX-Evil: 1")


def test_logs_stream_as_they_come(fake: FakeServer, client: Client) -> None:
    pieces = [b'{"channel":"stdout","data":"b25lCg=="}\n\n{"channel":"stderr",', b'"data":"dHdvCg=="}\n']
    fake.routes["GET /workspaces/web/logs"] = Reply(pieces=pieces, type="application/x-ndjson")
    with client.workspaces.logs("web", follow=True, tail=2) as read:
        assert b"".join(read) == b"one\ntwo\n"
    assert fake.requests[0].headers["accept"] == "application/x-ndjson"
    assert fake.requests[0].query == {"follow": ["true"], "tail": ["2"]}


def test_paths_and_queries_are_quoted() -> None:
    assert build_path("nodes", "a/../b c", "exec") == "/nodes/a%2F..%2Fb%20c/exec"
    assert build_query({"a": None, "b": True, "c": ["x=1", "y&2"]}) == "?b=true&c=x%3D1&c=y%262"
    assert build_query({"a": None}) == ""


def test_over_tcp(tmp_path: Path) -> None:
    with serve(None) as fake, Client.at(fake.url, token="t") as client:
        fake.routes["GET /server"] = SERVER
        assert client.status() == SERVER
        assert fake.requests[0].headers["host"] == fake.url.removeprefix("http://")


def test_what_is_not_http_is_told(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "s"))
        listener.listen()

        def answer() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(1000)
                connection.sendall(b"SSH-2.0-OpenSSH_9.2\r\n")

        thread = threading.Thread(target=answer)
        thread.start()
        with Client.at(f"unix://{tmp_path}/s") as client, pytest.raises(UnexpectedReply, match="not HTTP"):
            client.status()
        thread.join()


def test_a_server_that_does_not_answer_in_time_is_told(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "s"))
        listener.listen()
        with Client.at(f"unix://{tmp_path}/s") as client, pytest.raises(DeadlineExceeded, match=r"within 0\.05 s"):
            client.http.fetch(object, "GET", "/server", timeout_seconds=0.05)
